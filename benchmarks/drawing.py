"""A curve as SVG, both axes in logarithms, for pages that load nothing from elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 76, 110, 44, 52
COLOURS = ("#0b6e4f", "#b23a48", "#3d5a80")


@dataclass(frozen=True)
class Curve:
    """Points of one package: (size, cost), both above 0."""

    label: str
    points: list[tuple[float, float]]


def draw(title: str, across: str, unit: str, curves: Sequence[Curve]) -> str:
    """The drawing's text."""
    points = [point for curve in curves for point in curve.points]
    xs, ys = _decades([x for x, _ in points]), _decades([y for _, y in points])
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'font-family="sans-serif" font-size="12" aria-label="{escape(title)}">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="24" font-size="15" fill="#222">{escape(title)}</text>',
    ]
    for power in range(xs[0], xs[1] + 1):
        x = _place(10.0**power, xs, LEFT, WIDTH - RIGHT)
        lines.append(_line(x, TOP, x, HEIGHT - BOTTOM))
        lines.append(_text(x, HEIGHT - BOTTOM + 18, _number(power), "middle"))
    for power in range(ys[0], ys[1] + 1):
        y = _place(10.0**power, ys, HEIGHT - BOTTOM, TOP)
        lines.append(_line(LEFT, y, WIDTH - RIGHT, y))
        lines.append(_text(LEFT - 8, y + 4, _number(power), "end"))
    lines.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, across, "middle"))
    lines.append(_text(LEFT - 8, TOP - 10, unit, "end"))
    for curve, colour in zip(curves, COLOURS, strict=False):
        lines += _curve(curve, colour, xs, ys)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _curve(curve: Curve, colour: str, xs: tuple[int, int], ys: tuple[int, int]) -> list[str]:
    placed = [
        (_place(x, xs, LEFT, WIDTH - RIGHT), _place(y, ys, HEIGHT - BOTTOM, TOP)) for x, y in curve.points
    ]
    if not placed:
        return []
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in placed]
    x, y = placed[-1]
    label = f'<text x="{x + 8:.1f}" y="{y + 4:.1f}" fill="{colour}">{escape(curve.label)}</text>'
    return [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>', *dots, label]


def _decades(values: Sequence[float]) -> tuple[int, int]:
    """Powers of ten around all values."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def _place(value: float, powers: tuple[int, int], start: float, end: float) -> float:
    return start + (math.log10(value) - powers[0]) / (powers[1] - powers[0]) * (end - start)


def _number(power: int) -> str:
    if power < 0:
        return f"{10.0**power:g}"
    names = {0: "", 3: "k", 6: "M", 9: "G"}
    return f"{10 ** (power % 3)}{names.get(power - power % 3, f'e{power - power % 3}')}"


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#ddd"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#555">{escape(text)}</text>'
