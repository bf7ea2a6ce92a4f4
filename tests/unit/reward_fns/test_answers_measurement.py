"""Values with units: left out, spelled otherwise, or of another kind."""

import pytest
from answer_kinds import cases, judge

KINDS = {
    "units left out": (
        [
            ("7", r"7 \text{ (cm)}"),
            ("7", r"7 {\rm cm}"),
            ("7", "7 厘米"),
            ("7", r"7\ \mathrm{cm}"),
            ("7", r"7\textit{ miles}"),
            ("5 km/h", "5"),
            ("2.7", r"2.7 \text{g/cm}^3"),
            ("5", r"5 \Omega"),
            ("12", "12 eV"),
            ("0.5", r"0.5 \, \text{mol/L}"),
            ("20√{2}海里", r"20\sqrt{2}"),
            ("24", r"24 \textnormal{ units}"),
        ],
        [
            ("7 cm", "7 mm"),
            ("7", "8 cm"),
            ("7 cm", "7 cm^2"),
            ("10 m/s", "10 km/h"),
            ("7", "7 cm or 8 cm"),
            ("12 cm^3", "12 cm^0"),
        ],
    ),
    "units of one kind": (
        [
            ("5 min", "5 minutes"),
            ("12 inches", "12 in"),
            ("12 ft", "12 feet"),
            ("5 cm^2", "5 square centimeters"),
            ("5 cm^2", "5 cm squared"),
            ("5 cm^2", "5 sq cm"),
            ("5 cm^2", "5平方厘米"),
            ("5 cm^2", "5cm²"),
            ("10 m/s", "10 meters per second"),
            ("10 m/s", "10 m s^{-1}"),
            ("10 m/s", r"10 m\cdot s^{-1}"),
            ("60 mph", "60 miles per hour"),
            ("3 hours", "3 h"),
            ("4.40米", "4.4 m"),
            ("5 m^3", "5 cubic meters"),
        ],
        [
            ("5 min", "5 hours"),
            ("12 in", "12 ft"),
            ("5 cm^2", "5 square meters"),
            ("9.8 m/s^2", "9.8 m/s"),
            ("60 mph", "60 km/h"),
            ("100 cm", "1 m"),
            ("5 cm", "5 米"),
            ("5 m^3", "5 square meters"),
        ],
    ),
    "number words are no units": (
        [
            ("5", "5 students"),
            ("7", "7 different ways"),
            ("5 apples", "5"),
        ],
        [
            ("5", "5 halves"),
            ("5", "5 not correct"),
            ("5", "5 squared"),
            ("5", "5 wrong"),
            ("5", "5 million"),
            ("5", "5 times"),
            ("5", "5 minus"),
            ("5", "5 thirds"),
            ("5", "5 dozen"),
            ("5", "5!"),
            ("5", "5th"),
            ("5", "5 or 6"),
            ("5", "5 is not the answer"),
            ("5", "5x"),
            ("12", "12 million"),
        ],
    ),
    "angles": (
        [
            (r"30^\circ", r"30 \text{ degrees}"),
            (r"30^\circ", r"30{}^\circ"),
            (r"30^\circ", r"30\textdegree"),
            (r"30^\circ", r"30^{\circ}"),
            (r"30^\circ", "30"),
            (r"30^\circ", "30°"),
            ("14°30′", "14.5°"),
            ("14.5", r"14^\circ 30'"),
            ("14.5°", r"14^{\circ}30^{\prime}"),
        ],
        [
            (r"30^\circ", "30 rad"),
            (r"30^\circ", "31°"),
            (r"30^\circ", "30 cm"),
            (r"30^\circ", "-30°"),
            ("14°30′", "14.3°"),
            ("14°30′", "14°31′"),
            ("14.5°", "14°5′"),
        ],
    ),
    "percent": (
        [
            ("50%", "50"),
            ("50%", "0.5"),
            ("50%", "50 percent"),
            ("50%", r"\frac12"),
            ("50%", r"50\%"),
            (r"35\%", "35 pct"),
            (r"35\%", "35 percentage"),
            ("50", r"50\%"),
        ],
        [
            ("50%", "5000"),
            ("50%", "0.005"),
            ("50%", "5%"),
            ("50%", "40"),
            ("50%", "50 cm"),
            ("1%", "100"),
            ("50", "0.5%"),
            ("0.5", "5%"),
        ],
    ),
    "currency": (
        [
            (r"\$5", "5"),
            (r"\$5", "5 dollars"),
            (r"\$5", r"\$5.00"),
            (r"\$5", "$5"),
            ("5 cents", "5¢"),
            (r"\$5 million", "5000000"),
        ],
        [
            (r"\$5", "5 cents"),
            (r"\$5", "5€"),
            (r"\$5", "£5"),
            (r"\$5", r"\$6"),
            (r"\$5", r"-\$5"),
            (r"\$5", "5 yuan"),
            ("5 cents", r"\$5"),
        ],
    ),
    "abbreviations": (
        [
            ("12 sq. units", "12"),
            ("12", "12 sq. units"),
            ("12 sq. ft.", "12 square feet"),
            ("12 ft^2", "12 sq. ft."),
            ("6 cu. in.", "6 cubic inches"),
        ],
        [
            ("12 sq. in.", "12 sq. ft."),
            ("12 sq. ft.", "12 ft."),
            ("6 cu. in.", "6 in."),
            ("12 sq. units", "13"),
            ("12 sq. m.", "12 sq. ft."),
        ],
    ),
    "nouns that change the number": (
        [
            ("5", "5 triangles"),
            ("5", "5 cities"),
            ("5", "5 solutions"),
        ],
        [
            ("5", "5 lakhs"),
            ("5", "5 crores"),
            ("5", "5 negatives"),
            ("5", "5 inverses"),
            ("5", "5 reciprocals"),
            ("5", "5 sixes"),
            ("5", "5 nineties"),
        ],
    ),
    "minutes of arc": (
        [
            ("60'", "60"),
            ("60'", "60'"),
            ("60'", "60 arcminutes"),
            ("60'", r"60^{\prime}"),
        ],
        [
            (r"60^\circ", "60'"),
            ("60'", "1"),
            ("60'", "61'"),
            ("60'", "60''"),
            ("60'", "60 min"),
        ],
    ),
}


@pytest.mark.parametrize(("gold", "answer", "is_right"), cases(KINDS))
def test_measurements(gold, answer, is_right):
    assert judge(gold, answer) is is_right
