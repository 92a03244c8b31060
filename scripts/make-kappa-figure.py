#!/usr/bin/env python3
"""Draws docs/tour/kappa.svg: the gate g·σ(κ·g) for several κ, and κ = U^tanh z for several U.

    scripts/make-kappa-figure.py > docs/tour/kappa.svg
"""
import math

WIDTH, HEIGHT, TOP, BOTTOM = 760, 320, 44, 276


class Panel:
    """A plot whose axes run over [x0, x1] and [y0, y1], drawn between `left` and `right`."""

    def __init__(self, left, right, xs, ys):
        self.left, self.right, self.xs, self.ys = left, right, xs, ys

    def x(self, value):
        return self.left + (value - self.xs[0]) / (self.xs[1] - self.xs[0]) * (self.right - self.left)

    def y(self, value):
        return BOTTOM - (value - self.ys[0]) / (self.ys[1] - self.ys[0]) * (BOTTOM - TOP)

    def curve(self, css, f, steps=96):
        xs = [self.xs[0] + (self.xs[1] - self.xs[0]) * i / steps for i in range(steps + 1)]
        points = " ".join(f"{self.x(v):.1f},{self.y(f(v)):.1f}" for v in xs)
        print(f'  <polyline class="curve {css}" points="{points}"/>')

    def frame(self, title, xlabel, xticks, yticks):
        middle = (self.left + self.right) / 2
        print(f'  <text class="title" x="{middle}" y="26">{title}</text>')
        for value, label in xticks:
            print(f'  <path class="grid" d="M{self.x(value):.1f} {TOP}V{BOTTOM}"/>')
            print(f'  <text class="tick middle" x="{self.x(value):.1f}" y="{BOTTOM + 16}">{label}</text>')
        for value, label in yticks:
            print(f'  <path class="grid" d="M{self.left} {self.y(value):.1f}H{self.right}"/>')
            print(f'  <text class="tick end" x="{self.left - 6}" y="{self.y(value) + 4:.1f}">{label}</text>')
        print(f'  <text class="tick middle" x="{middle}" y="{BOTTOM + 34}">{xlabel}</text>')

    def legend(self, entries, x, y):
        for i, (css, label) in enumerate(entries):
            at = y + 18 * i
            print(f'  <path class="curve {css}" d="M{x} {at}h22"/><text class="tick" x="{x + 28}" y="{at + 4}">{label}</text>')


def whole(first, last):
    """Ticks at whole numbers."""
    return [(v, str(v).replace("-", "−")) for v in range(first, last + 1)]


def gate(kappa):
    return lambda g: g / (1 + math.exp(-kappa * g))


print(f'''<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="Helvetica, Arial, sans-serif" font-size="12">
  <title>The gate for several κ, and κ over its exponent</title>
  <style>
    .paper {{ fill: #ffffff }} .grid {{ stroke: #e3e8ed }} .curve {{ fill: none; stroke-width: 2 }}
    .title {{ fill: #2b3440; font-size: 14px; font-weight: bold; text-anchor: middle }} .tick {{ fill: #44546a }}
    .middle {{ text-anchor: middle }} .end {{ text-anchor: end }}
    .c0 {{ stroke: #2f6fb3 }} .c1 {{ stroke: #74a9d8 }} .c2 {{ stroke: #44546a }} .c3 {{ stroke: #e2a04f }} .c4 {{ stroke: #b86b1f }}
    .limit {{ stroke: #9aa7b5; stroke-width: 1.2; stroke-dasharray: 4 4 }}
    @media (prefers-color-scheme: dark) {{
      .paper {{ fill: #151b23 }} .grid {{ stroke: #2b3440 }} .title {{ fill: #e6ebf1 }} .tick {{ fill: #b8c4d0 }}
      .c0 {{ stroke: #6aa9ea }} .c1 {{ stroke: #9fc9f0 }} .c2 {{ stroke: #d5dde6 }} .c3 {{ stroke: #f0bd7c }} .c4 {{ stroke: #e08b35 }}
    }}
  </style>
  <rect class="paper" width="{WIDTH}" height="{HEIGHT}" rx="8"/>''')

left = Panel(52, 360, (-3, 3), (-1, 3))
left.frame("the gate g·σ(κ·g)", "g", whole(-3, 3), whole(-1, 3))
left.curve("limit", lambda g: max(g, 0.0))
for css, kappa in [("c0", 1 / 4), ("c1", 1 / 2), ("c2", 1), ("c3", 2), ("c4", 4)]:
    left.curve(css, gate(kappa))
left.legend([("c4", "κ = 4"), ("c3", "κ = 2"), ("c2", "κ = 1, the SiLU"), ("c1", "κ = 1/2"), ("c0", "κ = 1/4"), ("limit", "κ → ∞")], 70, 62)

right = Panel(440, 740, (-3, 3), (-2, 2))
right.frame("its sharpness κ = U^tanh z", "z = bias + scale·c", whole(-3, 3),
            [(-2, "1/4"), (-1, "1/2"), (0, "1"), (1, "2"), (2, "4")])
for css, bound in [("c2", 1), ("c1", 2), ("c3", 3), ("c4", 4)]:
    right.curve(css, lambda z, u=bound: math.log2(u) * math.tanh(z))
right.legend([("c4", "U = 4, MoE layers"), ("c3", "U = 3, dense layers"), ("c1", "U = 2"), ("c2", "U = 1, at first")], 458, 62)
print("</svg>")
