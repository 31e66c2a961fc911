"""The light model that comes with the package against photons simulated here and now.

Nothing about the model's numbers is pinned: any model that is as good as documented passes. A few
sources suffice to see a wrong constant, sign or input; the full comparison is made by
``skymap-scanner light make`` and stands in the model's card. Tolerances are two to three times the
documented accuracy, because cells of one source are off together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from skymap_scanner.light.ice import IceModel
from skymap_scanner.light.model import LIGHT_MODELS, LightModel
from skymap_scanner.light.production import Sources
from skymap_scanner.light.reference import simulate_reference
from skymap_scanner.light.validation import RANGES, Agreement, compare, flow_ratio

if TYPE_CHECKING:
    from skymap_scanner.units import FloatArray

#: In clean and in average ice, in the dust, and where layers are tilted most.
PLACES = np.array(
    [
        [0.0, 0.0, -350.0],
        [200.0, -150.0, 200.0],
        [-100.0, 250.0, -80.0],
        [-350.0, -350.0, -300.0],
        [100.0, 0.0, -430.0],
        [-50.0, 50.0, 50.0],
    ]
)
AXES = np.array(
    [[0.0, 0.0, 1.0], [1.0, 0, 0], [0.6, 0.0, -0.8], [0, -0.8, 0.6], [-0.6, 0.8, 0.0], [0, 0, -1.0]]
)


@pytest.fixture(scope="module", params=LIGHT_MODELS)
def model(request: pytest.FixtureRequest) -> LightModel:
    return LightModel.load(request.param)


@pytest.fixture(scope="module")
def agreement(
    model: LightModel, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[Agreement], dict[str, FloatArray]]:
    references = simulate_reference(
        tmp_path_factory.mktemp("reference"),
        Sources(PLACES, AXES),
        IceModel.load(model.card["ice"]),
        n_photons=6000,
        n_repeats=10,
        seed=2024,
    )
    return compare(references, model)


def test_charge_is_that_of_the_simulation(
    agreement: tuple[list[Agreement], dict[str, FloatArray]],
) -> None:
    rows = [row for row in agreement[0] if row.n_cells >= 100]
    assert len(rows) >= 6
    for row in rows:
        assert abs(row.bias) < (0.1 if row.is_dust else 0.06), row
        assert row.scatter < (0.2 if row.is_dust else 0.12), row


def test_times_are_those_of_the_simulation(
    agreement: tuple[list[Agreement], dict[str, FloatArray]],
) -> None:
    rows = [row for row in agreement[0] if row.n_times >= 30]
    assert rows
    for row in rows:
        assert row.time_distance < 0.06, row


def test_light_along_and_across_the_flow_is_that_of_the_simulation(
    agreement: tuple[list[Agreement], dict[str, FloatArray]],
) -> None:
    ratio, error = flow_ratio(agreement[1], r_low=30.0, r_high=120.0)
    # without birefringence and anisotropy of absorption the ratio would be off by 0.2 to 0.4
    assert ratio == pytest.approx(1.0, abs=0.05 + 3 * error)


# --- the card: the full comparison, made when the model was ---


def test_card_reaches_what_is_promised(model: LightModel) -> None:
    validation = model.card["validation"]
    rows = {(row["r_low"], row["is_dust"]): row for row in validation["agreement"]}
    assert set(rows) == {(r, dust) for r in RANGES[:-1] for dust in (False, True)}
    for (r_low, is_dust), row in rows.items():
        assert row["n_cells"] >= 200, row
        is_near = r_low < 150.0
        if is_dust:
            bias, scatter = (0.04, 0.10) if is_near else (0.08, 0.12)
        else:
            bias, scatter = 0.02, 0.04
        assert abs(row["bias"]) <= bias, row
        assert row["scatter"] <= scatter, row
        assert row["time_distance"] <= (0.03 if is_near and not is_dust else 0.05), row
    flow = validation["flow_ratio"]["model_over_simulation"]
    assert flow == pytest.approx(1.0, abs=0.05)
