"Holds the numbers in a page's prose to the tables that they are from"
import re

import nbformat
import numpy as np

_number = r"[+−-]?\d+(?:,\d{3})*(?:\.\d+)?"
_interval = re.compile(rf"({_number})(?: points)? \(({_number}) to ({_number})\)")
_decimal = re.compile(r"(?<![\w.])[+−-]?\d+(?:,\d{3})*\.\d+(?![\w.]*\d)")

def _value(text): return float(text.replace("−", "-").replace(",", "").replace("+", ""))

def _digits(text): return len(text.partition(".")[2])

def _fits(text, values): # whether a number, as it is written, is one of the values, a share in percent, or either without its sign
    v = np.abs(np.concatenate([values, 100 * values]))
    return bool((np.abs(v - abs(_value(text))) <= .5 * 10. ** -_digits(text) + 1e-9).any())

def prose(page): # str: of a notebook, without code, links and what is quoted from elsewhere
    text = "\n".join(cell.source for cell in nbformat.read(page, 4).cells if cell.cell_type == "markdown")
    text = re.sub(r"```.*?```|`[^`]*`", " ", text, flags=re.S)
    return re.sub(r"\]\([^)]*\)", "]", text)

def _triples(tables): # array [n, 3]: each difference with its ends
    found = []
    for table in tables:
        for middle in (c for c in table if f"{c}_low" in table and f"{c}_high" in table):
            found.append(table[[middle, f"{middle}_low", f"{middle}_high"]].to_numpy(float))
        if {"mean", "low", "high"} <= set(table): found.append(table[["mean", "low", "high"]].to_numpy(float))
    return np.concatenate(found) if found else np.empty((0, 3))

def _is_interval(said, triples): # one row has all three, in this order or mirrored, in percent or not
    for scale in (1, 100):
        for t in (scale * triples, -scale * triples[:, [0, 2, 1]]):
            near = [np.abs(t[:, i] - _value(s)) <= .5 * 10. ** -_digits(s) + 1e-9 for i, s in enumerate(said)]
            if (near[0] & near[1] & near[2]).any(): return True
    return False

def _numbers(table): # of a comparison its accuracies and differences, of another table all
    own = [c for c in table if c in ("mean", "low", "high") or str(c).startswith("difference")] if "verdict" in table else table
    return table[list(own)].select_dtypes("number").to_numpy(float).ravel()

def unfounded(page, *tables, quoted=()): # list of str: intervals and decimals that no table has; `quoted` are of other sources
    text, triples = prose(page), _triples(tables)
    values = np.concatenate([_numbers(t) for t in tables])
    values = values[np.isfinite(values)]
    wrong = [said.group() for said in _interval.finditer(text) if not _is_interval(said.groups(), triples)]
    rest = _interval.sub(" ", text)
    return wrong + [s for s in _decimal.findall(rest) if s.lstrip("+−-") not in quoted and not _fits(s, values)]
