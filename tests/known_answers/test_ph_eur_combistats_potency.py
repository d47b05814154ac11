"""Parallel-line assays of the European Pharmacopoeia (5.3, examples 5.1.1 to 5.1.4) and of EDQM CombiStats.

Data and published answers as quoted in the files of the R package pla 0.2 (cran/pla, inst/vignettes). Every
comparison is to the digits printed there: half a unit of the last printed digit.
"""

from __future__ import annotations

import math

import numpy as np

from cartsight.evidence.quality.potency import Assay, PotencyResult, parallel_line


def assay(cells: dict[tuple[str, float], str], *, design: str = "crd", missing: int = 0, average: int = 1) -> Assay:
    """Cells keyed by (preparation, dose); values are the replicates, in block order for randomised blocks."""
    names = tuple(dict.fromkeys(name for name, _ in cells))
    rows = []
    for (name, dose), text in cells.items():
        values = [float(v) for v in text.split()]
        means = [sum(values[k : k + average]) / average for k in range(0, len(values), average)]
        rows += [(names.index(name), dose, value, block) for block, value in enumerate(means)]
    prep, dose_, y, block = (np.array(column) for column in zip(*rows, strict=True))
    nuisance = (("block", block.astype(np.intp)),) if design == "rbd" else ()
    return Assay(
        names,
        prep.astype(np.intp),
        dose_.astype(float),
        y.astype(float),
        np.ones(len(y)),
        nuisance,
        np.arange(2, len(y) + 2),
        missing,
        None,
        design,
    )


def from_blocks(header: list[tuple[str, float]], blocks: str, design: str = "rbd") -> Assay:
    table = [line.split() for line in blocks.split(";")]
    return assay({key: " ".join(row[j] for row in table) for j, key in enumerate(header)}, design=design)


def printed(value: float, text: str) -> bool:
    """Whether `value` rounds to the printed `text`."""
    mantissa, _, exponent = text.upper().partition("E")
    decimals = len(mantissa.partition(".")[2])
    unit = 10.0 ** (int(exponent or 0) - decimals)
    return abs(value - float(text)) <= 0.5 * unit * (1 + 1e-6)


def check(result: PotencyResult, potencies: dict[str, tuple[str, str, str]], slope: str, ms: str, df: int) -> None:
    for name, (estimate, lower, upper) in potencies.items():
        item = next(p for p in result.potencies if p.preparation == name)
        assert printed(item.potency, estimate), item
        assert printed(item.lower, lower), item
        assert printed(item.upper, upper), item
    assert printed(result.common_slope, slope), result.common_slope
    assert printed(result.residual_mean_square, ms), result.residual_mean_square
    assert result.residual_df == df


def line(result: PotencyResult, source: str) -> object:
    return next(item for item in result.anova if item.source == source)


def check_line(
    result: PotencyResult, source: str, df: int, ss: str, f: str | None = None, p: str | None = None
) -> None:
    item = next(item for item in result.anova if item.source == source)
    assert item.df == df
    assert printed(item.ss, ss), item
    assert f is None or printed(item.f, f), item
    assert p is None or printed(item.p, p), item


CORTICOTROPHIN = (
    "300 289 310 230 250 236; 310 221 290 210 268 213; 330 267 360 280 273 283; 290 236 341 261 240 269;"
    "364 250 321 241 307 251; 328 231 370 290 270 294; 390 229 303 223 317 223; 360 269 334 254 312 250;"
    "342 233 295 216 320 216; 306 259 315 235 265 265"
)
CORTICOTROPHIN_HEADER = [(name, dose) for name in "STU" for dose in (0.25, 1.0)]


def test_corticotrophin_is_invalid_by_non_parallelism() -> None:
    result = parallel_line(from_blocks(CORTICOTROPHIN_HEADER, CORTICOTROPHIN, "crd"))
    check(
        result,
        {"T": ("1.14205", "0.783648", "1.68690"), "U": ("1.66889", "1.14813", "2.55503")},
        "-47.0559",
        "765.572",
        54,
    )
    check_line(result, "preparations", 2, "6256.63", "4.086", "0.022")
    check_line(result, "regression", 1, "63830.8", "83.377")
    check_line(result, "non-parallelism", 2, "8218.23", "5.367", "0.007")
    check_line(result, "treatments", 5, "78305.7", "20.457")
    check_line(result, "total", 59, "119647")
    assert line(result, "non-linearity").df == 0
    assert not result.valid
    assert any("non-parallelism is significant" in word for word in result.warnings)


def test_corticotrophin_without_the_third_preparation() -> None:
    whole = from_blocks(CORTICOTROPHIN_HEADER, CORTICOTROPHIN, "crd")
    two = whole.subset(whole.preparation < 2)
    result = parallel_line(Assay(**{**two.__dict__, "preparations": ("S", "T")}))
    check(result, {"T": ("1.11181", "0.824973", "1.51357")}, "-58.970", "738.536", 36)
    check_line(result, "non-parallelism", 1, "34.225", "0.046", "0.831")


AGAR = {
    "S1": [(1, 1, 161), (6, 2, 166), (2, 3, 150), (3, 4, 161), (4, 5, 163), (5, 6, 151)],
    "S2": [(5, 1, 176), (4, 2, 184), (3, 3, 174), (2, 4, 172), (1, 5, 171), (6, 6, 182)],
    "S3": [(4, 1, 194), (3, 2, 195), (5, 3, 201), (1, 4, 187), (6, 5, 198), (2, 6, 192)],
    "T1": [(2, 1, 151), (1, 2, 160), (6, 3, 161), (4, 4, 160), (5, 5, 154), (3, 6, 151)],
    "T2": [(3, 1, 162), (5, 2, 181), (1, 3, 178), (6, 4, 186), (2, 5, 170), (4, 6, 171)],
    "T3": [(6, 1, 193), (2, 2, 192), (4, 3, 199), (5, 4, 202), (3, 5, 193), (1, 6, 194)],
}


def agar() -> Assay:
    rows = [("ST".index(k[0]), 1.5 ** (int(k[1]) - 1), y, r - 1, c - 1) for k, v in AGAR.items() for r, c, y in v]
    prep, dose, y, row, column = (np.array(values) for values in zip(*rows, strict=True))
    nuisance = (("row", row.astype(np.intp)), ("column", column.astype(np.intp)))
    return Assay(
        ("S", "T"),
        prep.astype(np.intp),
        dose.astype(float),
        y.astype(float),
        np.ones(36),
        nuisance,
        np.arange(2, 38),
        0,
        None,
        "latin",
    )


def test_antibiotic_agar_diffusion_latin_square() -> None:
    factor = (4855 * 25.2 / 24.5) / (5600 * 21.4 / 23.95) * 5600
    result = parallel_line(agar(), assumed_potency=factor)
    check(result, {"T": ("5456.37", "5092.37", "5843.36")}, "46.3460", "20.7667", 20)
    check_line(result, "preparations", 1, "11.1111", "0.535", "0.473")
    check_line(result, "regression", 1, "8475.04", "408.108")
    check_line(result, "non-parallelism", 1, "18.3750", "0.885", "0.358")
    check_line(result, "non-linearity", 2, "5.47222", "0.132", "0.877")
    check_line(result, "non-linearity: S", 1, "0.0277778", "0.001", "0.971")
    check_line(result, "non-linearity: T", 1, "5.44444", "0.262", "0.614")
    check_line(result, "rows", 5, "412.000", "3.968", "0.012")
    check_line(result, "columns", 5, "218.667", "2.106", "0.107")
    check_line(result, "total", 35, "9556.00")
    assert result.valid


def test_antibiotic_turbidimetric_randomised_blocks() -> None:
    header = [(name, 1.5**k) for name in "ST" for k in range(4)]
    blocks = (
        "252 207 168 113 242 206 146 115; 249 201 187 107 236 197 153 102; 247 193 162 111 246 197 148 104;"
        "250 207 155 108 231 191 159 106; 235 207 140 98 232 186 146 95"
    )
    factor = 670 * 16.7 / 25 / (20000 / 40) * 20000
    result = parallel_line(from_blocks(header, blocks), assumed_potency=factor)
    check(result, {"T": ("19228.5", "18423.4", "20075.2")}, "-111.255", "53.9161", 28)
    check_line(result, "preparations", 1, "632.025", "11.722", "0.002")
    check_line(result, "regression", 1, "101746", "1887")
    check_line(result, "non-parallelism", 1, "25.2050", "0.467", "0.500")
    check_line(result, "non-linearity", 4, "259.140", "1.202", "0.332")
    check_line(result, "treatments", 7, "102662", "272.015")
    check_line(result, "blocks", 4, "876.750", "4.065", "0.010")
    assert result.valid


HEPATITIS_B = {
    "S": (
        "0.043 0.045 0.051",
        "0.093 0.099 0.082",
        "0.159 0.154 0.166",
        "0.283 0.295 0.362",
        "0.514 0.531 0.545",
    ),
    "T": (
        "0.097 0.097 0.094",
        "0.167 0.157 0.178",
        "0.327 0.355 0.345",
        "0.501 0.665 0.576",
        "1.140 1.386 1.051",
    ),
    "U": (
        "0.086 0.071 0.073",
        "0.127 0.146 0.133",
        "0.277 0.268 0.269",
        "0.586 0.489 0.546",
        "0.957 0.866 1.045",
    ),
    "V": (
        "0.082 0.082 0.086",
        "0.145 0.144 0.173",
        "0.318 0.306 0.316",
        "0.552 0.551 0.624",
        "1.037 1.039 1.068",
    ),
}


def test_hepatitis_b_five_dose_multiple_assay() -> None:
    cells = {(name, 2.0**k): text for name, doses in HEPATITIS_B.items() for k, text in enumerate(doses)}
    result = parallel_line(assay(cells), transform="log", assumed_potency=20.0)
    check(
        result,
        {
            "T": ("43.4196", "40.5448", "46.5397"),
            "U": ("35.1630", "32.8698", "37.6405"),
            "V": ("39.4017", "36.8125", "42.2057"),
        },
        "0.908479",
        "0.00667768",
        40,
    )
    check_line(result, "preparations", 3, "4.47522", "223.392")
    check_line(result, "regression", 1, "47.5841", "7125.8")
    check_line(result, "non-parallelism", 3, "0.0186856", "0.933", "0.434")
    check_line(result, "non-linearity", 12, "0.0742323", "0.926", "0.531")
    check_line(result, "non-linearity: V", 3, "0.0111903", "0.559", "0.645")
    assert result.valid


def test_diphtheria_square_transform() -> None:
    cells = {
        ("S", 0.05): "0 0 1 0",
        ("S", 0.1): "2 3 2 2",
        ("S", 0.2): "4 4 3 4",
        ("T", 0.02): "1 1 0 1",
        ("T", 0.04): "2 2 2 2",
        ("T", 0.08): "2 4 4 4",
    }
    result = parallel_line(assay(cells), transform="square", assumed_potency=9.5)
    check(result, {"T": ("22.1352", "16.6014", "29.2553")}, "9.46769", "9.16667", 18)
    check_line(result, "non-parallelism", 1, "3.06250", "0.334", "0.570")
    check_line(result, "non-linearity", 2, "32.7083", "1.784", "0.196")


def test_erythropoietin_randomised_blocks() -> None:
    blocks = (
        "1679 1377 1853 1064 950 2715; 1728 2245 2299 1536 1172 2325; 1127 2359 2298 1243 2124 2163;"
        "1465 1907 2216 1526 1748 2175; 1765 1388 2967 1531 1761 1531; 1367 1725 2457 1706 1970 1947;"
        "922 2467 1180 953 1753 1781; 1070 1808 2439 1327 2040 2280"
    )
    header = [(name, 10.0 * 2**k) for name in "ST" for k in range(3)]
    result = parallel_line(from_blocks(header, blocks), assumed_potency=120000.0)
    check(result, {"T": ("97841.0", "60355.0", "148972")}, "568.828", "160652", 35)
    check_line(result, "blocks", 7, "839174", "0.746", "0.635")


def test_erythromycin_randomised_blocks() -> None:
    blocks = (
        "185 192 210 172 201 214; 185 199 216 178 205 212; 174 200 211 185 196 216; 175 198 216 184 196 208;"
        "185 201 211 175 201 218; 180 194 211 178 197 214"
    )
    header = [(name, 1.5**k) for name in "ST" for k in range(3)]
    result = parallel_line(from_blocks(header, blocks), assumed_potency=920 * (21.3 / 20) / (26.4 / 25))
    check(result, {"T": ("936.639", "874.648", "1003.23")}, "41.2078", "16.7611", 25)
    check_line(result, "non-parallelism", 1, "15.0417", "0.897", "0.353")
    check_line(result, "non-linearity", 2, "42.3611", "1.264", "0.300")
    check_line(result, "blocks", 5, "67.1389", "0.801", "0.559")


def test_factor_ix_with_log10_response() -> None:
    # CombiStats works on dilutions that fall; the slope per ln dilution has the opposite sign of the slope
    # per ln dose
    cells = {
        ("S", 10.0): "61.8 63.2",
        ("S", 20.0): "72.4 76.1",
        ("S", 40.0): "84.8 90.0",
        ("S", 80.0): "96.4 99.6",
        ("T", 500.0): "62.4 65.4",
        ("T", 1000.0): "74.0 76.1",
        ("T", 2000.0): "86.3 89.9",
        ("T", 4000.0): "96.0 99.4",
    }
    inverse = {(name, 1 / dilution): text for (name, dilution), text in cells.items()}
    result = parallel_line(assay(inverse), transform="log10", assumed_potency=10.7)
    check(result, {"T": ("511.616", "436.530", "599.058")}, "-0.0923053", "0.000158716", 8)


def test_heparin_means_of_pairs() -> None:
    cells = {
        ("S", 1.044): "78.9 79.8 79.0 79.1",
        ("S", 1.321): "108.2 113.1 119.1 122.5",
        ("S", 1.670): "176.9 180.1 173.6 169.8",
        ("T", 1.000): "79.8 76.4 78.9 78.7",
        ("T", 1.265): "107.2 106.5 117.7 117.3",
        ("T", 1.600): "168.2 171.4 179.3 162.7",
    }
    result = parallel_line(assay(cells, average=2), transform="log10", assumed_potency=1000.0)
    check(result, {"T": ("1029.95", "996.153", "1064.68")}, "0.725012", "0.000288922", 6)
    check_line(result, "non-parallelism", 1, "3.01665E-05")


def test_human_hepatitis_a_square_root() -> None:
    cells = {
        ("S", 0.01): "0.633 0.629 0.649",
        ("S", 0.02): "0.401 0.409 0.411",
        ("S", 0.04): "0.206 0.204 0.211",
        ("S", 0.08): "0.077 0.079 0.080",
        ("T", 0.01): "0.502 0.508 0.518",
        ("T", 0.02): "0.297 0.29 0.302",
        ("T", 0.04): "0.136 0.128 0.136",
        ("T", 0.08): "0.040 0.042 0.035",
    }
    result = parallel_line(assay(cells), transform="sqrt", assumed_potency=600.0)
    check(result, {"T": ("852.459", "835.028", "870.357")}, "-0.249882", "3.40335E-05", 16)


def test_inactivated_polio_vaccine_with_a_missing_value() -> None:
    cells = {
        ("S", 1 / 240): ".073 .081 .110 .140",
        ("S", 1 / 120): ".150 .165 .167 .168",
        ("S", 1 / 60): ".258 .293 .270 .245",
        ("S", 1 / 30): ".418 .460 .469 .464",
        ("T", 1 / 120): ".095 .084 .060",
        ("T", 1 / 60): ".120 .144 .124 .174",
        ("T", 1 / 30): ".239 .277 .261 .291",
        ("T", 1 / 15): ".416 .467 .390 .451",
    }
    result = parallel_line(assay(cells, missing=1), transform="log10", assumed_potency=285.0)
    check(result, {"T": ("124.963", "107.839", "144.641")}, "0.338369", "0.00441613", 23)
    check_line(result, "preparations", 1, "0.00340861", "0.772", "0.389")
    check_line(result, "regression", 1, "2.06832", "468.356")
    check_line(result, "non-parallelism", 1, "0.00770829", "1.745", "0.199")
    check_line(result, "non-linearity", 4, "0.00419635", "0.238", "0.914")
    assert result.n == 31
    natural = parallel_line(assay(cells, missing=1), transform="log", assumed_potency=285.0)
    assert math.isclose(natural.potencies[0].potency, result.potencies[0].potency, rel_tol=1e-12)
