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
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from skymap_scanner.exceptions import FormatError, UsageError
from skymap_scanner.result.calibrated_levels import choose_levels, shipped_levels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from skymap_scanner.result.calibrated_levels import CalibratedLevels

__all__ = [
    "CLASSIC",
    "HPD",
    "HPD_FLOOR",
    "LEVEL_RULES",
    "RULES",
    "WILKS",
    "LevelRule",
    "plain_rule_for",
    "rule_for",
    "wilks_ts",
]

#: What users may ask for; ``auto``: levels calibrated with varied ice where there are some.
LEVEL_RULES: Final = ("auto", "calibrated", "wilks", "classic", "hpd")


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
    note : str, optional
        What users should know, for instance why it is not a calibrated rule.
    """

    name: Literal["wilks", "hpd", "classic", "calibrated"]
    source: str
    ts_levels: tuple[tuple[float, float], ...] = ()
    floor_deg: float = 0.0
    note: str = ""

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

    def as_json(self) -> dict[str, Any]:
        """Return the rule as plain JSON values."""
        return {
            "name": self.name,
            "source": self.source,
            "ts_levels": [list(pair) for pair in self.ts_levels],
            "floor_deg": self.floor_deg,
            "note": self.note,
        }

    @classmethod
    def from_json(cls, document: object) -> LevelRule:
        """Make a rule of what `as_json` returned.

        Raises
        ------
        FormatError
            When it is something else.
        """
        wanted = "a level rule"
        if not isinstance(document, dict) or document.get("name") not in _NAMES:
            raise FormatError("not a level rule", found=str(document)[:80], wanted=wanted)
        try:
            pairs = tuple((float(p), float(ts)) for p, ts in document.get("ts_levels", ()))
            floor_deg = float(document.get("floor_deg", 0.0))
        except (TypeError, ValueError) as error:
            raise FormatError("not a level rule", found=str(error)[:80], wanted=wanted) from error
        numbers = [floor_deg, *(ts for _, ts in pairs)]
        if not all(0.0 <= number < math.inf for number in numbers):
            raise FormatError("not a level rule", found=f"numbers {numbers}"[:80], wanted=wanted)
        texts = (str(document.get(key, "")) for key in ("source", "note"))
        source, note = texts
        return cls(document["name"], source, pairs, floor_deg, note)


_NAMES: Final = ("wilks", "hpd", "classic", "calibrated")


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


def plain_rule_for(reco_algo: str) -> LevelRule:
    """Return the rule that the field has for a reconstruction, calibrated or not.

    Case and underscores of the name do not matter.

    Examples
    --------
    >>> plain_rule_for("SplineMPE_pointed").floor_deg, plain_rule_for("dummy").name
    (0.2, 'wilks')
    """
    return RULES.get(reco_algo.lower().replace("_", ""), WILKS)


def rule_for(
    reco_algo: str,
    reco_options: Mapping[str, object] | None = None,
    *,
    wanted: str = "auto",
    charge: float | None = None,
    entries: Sequence[CalibratedLevels] | None = None,
) -> LevelRule:
    """Return the rule for a scan.

    Parameters
    ----------
    reco_algo : str
        Name of the reconstruction; case and underscores do not matter.
    reco_options : mapping, optional
        Its effective settings; by default those that were calibrated.
    wanted : str
        One of `LEVEL_RULES`. ``auto``: levels calibrated with varied ice, or `plain_rule_for` where
        there are none for this reconstruction with these settings, which a note then says.
        ``calibrated``: those of the same ice, too, if there are no others. ``hpd`` includes the
        reconstruction's angular error floor.
    charge : float, optional
        Charge of the event after the cleaning for tracks [PE], for levels in ranges of it.
    entries : sequence of CalibratedLevels, optional
        Calibrated levels; by default those of the package.

    Returns
    -------
    LevelRule

    Raises
    ------
    UsageError
        When there is no such rule, or no calibrated one and nothing else is wanted.

    Examples
    --------
    >>> rule_for("dummy").name, rule_for("dummy", wanted="classic").ts_level(0.9)
    ('wilks', 64.2)
    """
    if wanted not in LEVEL_RULES:
        raise UsageError(
            "unknown level rule",
            place="--level-rule",
            found=wanted,
            wanted=f"one of {', '.join(LEVEL_RULES)}",
        )
    plain = plain_rule_for(reco_algo)
    if wanted in ("wilks", "classic"):
        return WILKS if wanted == "wilks" else CLASSIC
    if wanted == "hpd":
        return plain if plain.is_posterior else HPD
    known = shipped_levels() if entries is None else entries
    if wanted == "auto":
        # levels of the same ice test the program; in real, less well known ice they are too low
        known = [entry for entry in known if entry.kind == "varied-ice"]
    chosen, reason = choose_levels(known, reco_algo, reco_options, charge)
    if chosen is not None:
        pairs = tuple((level.probability, level.ts) for level in chosen.levels)
        return LevelRule("calibrated", f"{chosen.reco_algo}: {chosen.title}", pairs)
    if wanted == "calibrated":
        raise UsageError(
            "no calibrated levels for this scan",
            place="--level-rule calibrated",
            found=reason,
            wanted="another rule, or the options that were calibrated",
        )
    has_other = reason.startswith("calibrated with")
    return (
        replace(plain, note=f"not calibrated for these options: {reason}") if has_other else plain
    )
