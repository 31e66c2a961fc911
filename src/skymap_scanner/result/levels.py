r"""How large a credible region is made from a map, per reconstruction: the rules as data.

Everything is in terms of the test statistic :math:`TS = 2\,(\ell - \ell_\mathrm{min})`, ell being
the negative log-likelihood.

References
----------
.. [1] S. S. Wilks, Ann. Math. Stat. 9 (1938) 60, :doi:`10.1214/aoms/1177732360`
.. [2] R. Abbasi et al. (IceCube), "IceCat-1", ApJS 269 (2023) 25, :doi:`10.3847/1538-4365/acfa95`
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

from skymap_scanner.exceptions import UsageError

__all__ = ["CLASSIC", "HPD", "HPD_FLOOR", "RULES", "WILKS", "LevelRule", "rule_for", "wilks_ts"]


@dataclass(frozen=True, slots=True)
class LevelRule:
    """How a credible region is made.

    Parameters
    ----------
    name : str
        ``wilks``: contour of TS at the quantiles of chi2 with two degrees of freedom; ``classic``
        and ``calibrated``: contour of TS at `ts_levels`; ``hpd``: highest posterior density for a
        flat prior.
    source : str
        Where the rule comes from.
    ts_levels : tuple of (float, float), optional
        Pairs of probability and TS, for rules that are tables.
    floor_deg : float, optional
        Width per axis of the Gaussian with which the posterior is convolved first [deg].
    """

    name: Literal["wilks", "hpd", "classic", "calibrated"]
    source: str
    ts_levels: tuple[tuple[float, float], ...] = ()
    floor_deg: float = 0.0

    @property
    def is_posterior(self) -> bool:
        """Whether the region is made from the posterior and not from a contour of TS."""
        return self.name == "hpd"

    def ts_level(self, probability: float) -> float:
        """Return the TS of the contour that holds the truth with `probability`.

        Raises
        ------
        UsageError
            When the rule is a table without this probability, or makes no use of fixed contours.
        """
        if self.name == "wilks":
            return wilks_ts(probability)
        known = dict(self.ts_levels)
        if probability not in known:
            raise UsageError(
                f"the {self.name} levels do not have this probability",
                found=probability,
                wanted=", ".join(map(str, known)) or "another rule",
            )
        return known[probability]


def wilks_ts(probability: float) -> float:
    """Return the quantile of chi2 with two degrees of freedom, the TS of Wilks' theorem.

    Parameters
    ----------
    probability : float
        Between 0 and 1, both excluded.

    Examples
    --------
    >>> round(wilks_ts(0.5), 3), round(wilks_ts(0.9), 3)
    (1.386, 4.605)
    """
    if not 0.0 < probability < 1.0:
        raise UsageError("not a probability", found=probability, wanted="0 < p < 1")
    return -2.0 * math.log1p(-probability)


#: Contours of TS at the quantiles of Wilks' theorem.
WILKS: Final = LevelRule("wilks", "Wilks' theorem, two degrees of freedom")
#: Contours found for a simulated repeat of IC160427A under variations of the ice model.
CLASSIC: Final = LevelRule(
    "classic",
    "millipede_original: simulated repeat of IC160427A with varied ice",
    ((0.5, 22.2), (0.9, 64.2)),
)
#: Highest posterior density as it is.
HPD: Final = LevelRule("hpd", "millipede_wilks: highest posterior density")
#: Highest posterior density after convolution with the angular error floor of the track recos.
HPD_FLOOR: Final = LevelRule(
    "hpd", "splinempe: highest posterior density, 0.2 deg angular error floor", floor_deg=0.2
)

#: Reconstruction (lower case, no underscores) -> rule; every other one: `WILKS`.
RULES: Final[dict[str, LevelRule]] = {
    "millipedeoriginal": CLASSIC,
    "millipedewilks": HPD,
    "splinempe": HPD_FLOOR,
    "splinempepointed": HPD_FLOOR,
}


def rule_for(reco_algo: str) -> LevelRule:
    """Return the rule of a reconstruction; case and underscores of the name do not matter.

    Examples
    --------
    >>> rule_for("SplineMPE_pointed").floor_deg, rule_for("dummy").name
    (0.2, 'wilks')
    """
    return RULES.get(reco_algo.lower().replace("_", ""), WILKS)
