"""The rows and the rules of bench/data_bench: 20 columns, 40 rules and 20 types. One list says for
each column how DuckDB makes its values, what is asked of them, and how a faulty row differs. All
sides take their rules from here.

A faulty row breaks one rule on purpose. A side answers with a number for each row that breaks any:
a bit for each type (in the order of the columns), then one for each rule of a row in the order of
`rules()`.
"""

import json

SALTS = 64
FAULTS = 49  # places that faults are drawn from: rules, then types


def _hash(salt):
    return f"hash(i * {SALTS} + {salt})"


def _unit(salt):
    """A number in [0, 1)."""
    return f"(({_hash(salt)} >> 11)::DOUBLE / 9007199254740992)"


def _letters(number, first, others):
    text = f"chr((65 + {number} % 26)::INTEGER)" if first else ""
    for k in range(others):
        text += (" || " if text else "") + f"chr((97 + {number} // {26 ** (k + 1)} % 26)::INTEGER)"
    return text


CITY, PRODUCT = f"({_hash(4)} % 5000)", f"({_hash(5)} % 20000)"
COUNTRIES = [f"C{k:02}" for k in range(40)]
REGIONS = [f"R{k:03}" for k in range(200)]
CATEGORIES = [f"C{k:02}" for k in range(30)]
CITY_NAME = _letters(CITY, True, 3) + " || 'ville'"
PRODUCT_NAME = f"'SKU-' || lpad({PRODUCT}::VARCHAR, 5, '0')"


class Column:
    """`value`: SQL over the row's number `i`. `faults`: SQL by what is broken. `nulls`: the share
    of rows without a value, in percent.
    """

    def __init__(self, name, type, value, faults=None, nulls=0, text=None, **rules):
        self.name, self.type, self.value, self.nulls = name, type, value, nulls
        self.faults, self.text = faults or {}, text  # `text`: a cell of no such type, CSV only
        self.rules = rules


COLUMNS = [
    Column(
        "id",
        "int",
        "i",
        {"required": "NULL", "range": "-1 - i", "unique": "i // 2"},
        text="x1",
        required=True,
        minimum=0,
    ),
    Column(
        "time",
        "timestamp",
        f"make_timestamp(1577836800000000 + ({_hash(1)} % 150000000)::BIGINT * 1000000)",
        {"required": "NULL", "range": "TIMESTAMP '1999-12-31 23:59:59'"},
        text="yesterday",
        required=True,
        earliest=1577836800000000,
        latest=1735689600000000,
    ),
    Column(
        "country",
        "string",
        f"'C' || lpad(({_hash(2)} % 40)::VARCHAR, 2, '0')",
        {"required": "NULL", "enum": "'C40'"},
        required=True,
        enum=COUNTRIES,
    ),
    Column(
        "region",
        "string",
        f"'R' || lpad(({CITY} % 200)::VARCHAR, 3, '0')",
        {
            "required": "NULL",
            "enum": "'R200'",
            "city-fixes-region": f"'R' || lpad((({CITY} + 1) % 200)::VARCHAR, 3, '0')",
        },
        required=True,
        enum=REGIONS,
    ),
    Column(
        "city",
        "string",
        CITY_NAME,
        {"required": "NULL", "pattern": "'paris 7'"},
        required=True,
        pattern="^[A-Z][a-z]+$",
    ),
    Column(
        "product",
        "string",
        PRODUCT_NAME,
        {"required": "NULL", "pattern": "'SKU-123'"},
        required=True,
        pattern="^[A-Z]{3}-[0-9]{5}$",
    ),
    Column(
        "category",
        "string",
        f"'C' || lpad(({PRODUCT} % 30)::VARCHAR, 2, '0')",
        {
            "required": "NULL",
            "enum": "'C30'",
            "product-fixes-category": f"'C' || lpad((({PRODUCT} + 1) % 30)::VARCHAR, 2, '0')",
        },
        required=True,
        enum=CATEGORIES,
    ),
    Column(
        "email",
        "string",
        f"'user' || ({_hash(7)} % (rows // 4)) || '@example.com'",
        {"required": "NULL", "pattern": "'nobody at example'"},
        required=True,
        pattern=r"^[a-z0-9.]+@[a-z]+\.[a-z]{2,3}$",
    ),
    Column(
        "status",
        "string",
        f"['open', 'paid', 'sent', 'back', 'lost'][({_hash(8)} % 5)::INTEGER + 1]",
        {"required": "NULL", "enum": "'gone'"},
        required=True,
        enum=["open", "paid", "sent", "back", "lost"],
    ),
    Column(
        "channel",
        "string",
        f"['web', 'shop', 'phone', 'agent'][({_hash(9)} % 4)::INTEGER + 1]",
        {"required": "NULL", "enum": "'fax'"},
        required=True,
        enum=["web", "shop", "phone", "agent"],
    ),
    Column(
        "quantity",
        "int",
        f"({_hash(10)} % 1000 + 1)::BIGINT",
        {"required": "NULL", "range": "0"},
        text="n/a",
        required=True,
        minimum=1,
        maximum=1000,
    ),
    Column(
        "price",
        "double",
        f"round({_unit(11)} * 4990, 2) + 0.01",
        {"required": "NULL", "range": "-5.0", "total": "9999.5"},
        text="free",
        required=True,
        minimum=0.01,
        maximum=10000,
    ),
    Column(
        "discount",
        "double",
        f"round({_unit(12)} * 0.5, 3)",
        {"range": "1.5"},
        nulls=5,
        text="n/a",
        minimum=0,
        maximum=1,
    ),
    Column(
        "weight",
        "double",
        f"{_unit(13)} * 100",
        {"range": "-0.5", "heavy": "900.0"},
        nulls=5,
        text="heavy",
        minimum=0,
        maximum=1000,
    ),
    Column(
        "latitude",
        "double",
        f"{_unit(14)} * 126 - 60",
        {"range": "95.0", "polar": "70.0"},
        nulls=2,
        text="north",
        minimum=-90,
        maximum=90,
    ),
    Column(
        "longitude",
        "double",
        f"{_unit(15)} * 360 - 180",
        {"range": "200.0"},
        nulls=2,
        text="east",
        minimum=-180,
        maximum=180,
    ),
    Column(
        "age",
        "int",
        f"({_hash(16)} % 80 + 18)::BIGINT",
        {"range": "130", "adult": "9"},
        nulls=10,
        text="old",
        minimum=0,
        maximum=120,
    ),
    Column(
        "rating",
        "int",
        f"({_hash(17)} % 5 + 1)::BIGINT",
        {"range": "6"},
        nulls=20,
        text="good",
        minimum=1,
        maximum=5,
    ),
    Column(
        "zip",
        "string",
        f"lpad(({_hash(18)} % 100000)::VARCHAR, 5, '0')",
        {"pattern": "'D-1234'"},
        nulls=1,
        pattern="^[0-9]{5}$",
    ),
    Column(
        "phone",
        "string",
        f"'+49' || (100000000 + {_hash(19)} % 900000000)",
        {"pattern": "'none'"},
        nulls=1,
        pattern="^[+][0-9]{10,12}$",
    ),
]

# Of each: the id, how we write it, how SQL does, and the columns it reads.
EXPRESSIONS = [
    (
        "total",
        "price * quantity <= 5000000.0",
        "price * quantity <= 5000000.0",
        ["price", "quantity"],
    ),
    (
        "promo",
        "is_null(discount) || discount <= 0.5 || channel == 'web'",
        "discount IS NULL OR discount <= 0.5 OR channel = 'web'",
        ["discount", "channel"],
    ),
    (
        "polar",
        "is_null(latitude) || latitude <= 66.0 || country in ['C01', 'C02', 'C03']",
        "latitude IS NULL OR latitude <= 66.0 OR country IN ('C01', 'C02', 'C03')",
        ["latitude", "country"],
    ),
    (
        "heavy",
        "is_null(weight) || weight * quantity <= 100000.0",
        "weight IS NULL OR weight * quantity <= 100000.0",
        ["weight", "quantity"],
    ),
    (
        "adult",
        "category != 'C07' || is_null(age) || age >= 18",
        "category <> 'C07' OR age IS NULL OR age >= 18",
        ["category", "age"],
    ),
]
# Determinant and dependent; what belongs together is learned from a clean file of 100,000 rows.
DEPENDENCIES = [
    ("city-fixes-region", "city", "region"),
    ("product-fixes-category", "product", "category"),
]


def rules():
    """Ids of the rules of a row, in the order of their bits: those of columns, then the others."""
    out = []
    for column in COLUMNS:
        for key, members in (
            ("required", ["required"]),
            ("enum", ["enum"]),
            ("range", ["minimum", "maximum", "earliest", "latest"]),
            ("pattern", ["pattern"]),
        ):
            if any(member in column.rules for member in members):
                out.append((column.name + "-" + key, key, column))
    for rule in EXPRESSIONS:
        out.append((rule[0], "expression", rule))
    for rule in DEPENDENCIES:
        out.append((rule[0], "dependency", rule))
    return out


def contract():
    """`heddle.contract/2`, nothing learned yet."""
    fields = [
        {"name": column.name, "type": column.type, "required": False, **column.rules}
        for column in COLUMNS
    ]
    row_rules = [
        {"id": id, "effect": "refuse", "expression": text} for id, text, _, _ in EXPRESSIONS
    ]
    row_rules += [
        {"id": id, "effect": "refuse", "determinant": [determinant], "dependent": dependent}
        for id, determinant, dependent in DEPENDENCIES
    ]
    return {
        "format": "heddle.contract/2",
        "name": "orders",
        "version": "1.0.0",
        "fields": fields,
        "row_rules": row_rules,
        "set_rules": [
            {
                "id": "id-unique",
                "effect": "refuse",
                "metric": "duplicateValues",
                "field": "id",
                "operation": "mustBe",
                "operands": [0],
            }
        ],
        "transforms": [],
        "learned": [],
    }


def order():
    """Ids of the bits: `NAME-type` of each column, then `rules()`."""
    return [column.name + "-type" for column in COLUMNS] + [rule[0] for rule in rules()]


def select(bad_share, as_csv):
    """SQL of the rows `i` from 0 to `rows`."""
    faults, items = {}, []
    for column in COLUMNS:
        for name, value in column.faults.items():
            faults[(column.name, name)] = (len(faults), value)
    for column in COLUMNS:
        value = column.value
        if column.nulls:
            value = (
                f"CASE WHEN {_hash(40 + len(items))} % 100 < {column.nulls} THEN NULL"
                f" ELSE {value} END"
            )
        if as_csv and column.type == "timestamp":
            value = f"strftime({value}, '%Y-%m-%d %H:%M:%S')"

        def cell(sql):
            return f"({sql.replace('TIMESTAMP ', '')})::VARCHAR" if as_csv else sql

        cases = "".join(
            f" WHEN {place} THEN {cell(faulty)}"
            for (name, _), (place, faulty) in faults.items()
            if name == column.name
        )
        if as_csv:
            value = cell(value)
            if column.text:
                place = (
                    FAULTS - 1 - sum(1 for other in COLUMNS[: COLUMNS.index(column)] if other.text)
                )
                assert place >= len(faults), "FAULTS is too small"
                cases += f" WHEN {place} THEN '{column.text}'"
        if cases:
            value = f"CASE fault{cases} ELSE {value} END"
        items.append(f"{value} AS {column.name}")
    fault = (
        f"CASE WHEN {_hash(62)} % 10000 < {round(bad_share * 10000)}"
        f" THEN ({_hash(63)} % {FAULTS})::INTEGER ELSE -1 END"
    )
    return (
        f"SELECT {', '.join(items)} FROM (SELECT i, rows, {fault} AS fault FROM"
        " (SELECT range AS i, $rows AS rows FROM range($rows)))"
    )


if __name__ == "__main__":
    print(json.dumps(contract(), indent=1))
