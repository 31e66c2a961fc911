"""The import names that users' scripts carry."""

from __future__ import annotations

from skymap_scanner import pixels, result
from skymap_scanner.utils import pixel_classes, scan_result, to_skyscan_result


def test_names_are_those_of_the_packages_behind() -> None:
    assert to_skyscan_result.from_nsides_dict is result.from_nsides_dict
    assert scan_result.SkyScanResult is result.SkyScanResult
    assert scan_result.EventMetadata is result.EventMetadata
    assert pixel_classes.NSidesDict is pixels.NSidesDict
    assert pixel_classes.RecoPixelFinal is pixels.RecoPixelFinal


def test_the_lists_of_names_are_fixed() -> None:
    assert scan_result.__all__ == ["EventMetadata", "SkyScanResult"]
    assert to_skyscan_result.__all__ == ["from_nsides_dict"]
    assert sorted(pixel_classes.__all__) == [
        "NSidesDict",
        "RecoPixelFinal",
        "RecoPixelVariation",
        "SentPixelVariation",
    ]
    assert sorted(result.__all__) == [
        "EventMetadata",
        "ResultWarning",
        "ScanHeader",
        "SkyScanResult",
        "from_nsides_dict",
    ]
