"""B, C, D, G, H and N on n atoms as pairs (error, bound) of linear parts, both divided by s.

`Atoms` has the coordinates; what is claimed, and why so, stands in test_balls_boxes.py.
"""

from __future__ import annotations

from boxes import excess, larger, log1p_ratio, square, total
from flint import arb

__all__ = [
    "Atoms",
    "gap",
    "gate",
    "gated_bias",
    "retain_rate",
    "slow_rate",
    "tempered_forget",
    "tempered_retain",
    "weighted_retain",
]


def mix(masses, values):
    return total(x * y for x, y in zip(masses, values, strict=True))


def subsets(count):
    """All but the empty one, as tuples of places."""
    return [tuple(i for i in range(count) if 1 << i & chosen) for chosen in range(1, 1 << count)]


class Atoms:
    """n masses, f* and f; `up` says where f ≥ f*. Per atom, over s: f/f* − 1, |f − f*| and
    kl(f*‖f)/(s f*). `parameters`: all masses but the last, f*, s, and t of all atoms but the first.
    """

    def __init__(self, *parameters, up) -> None:
        n = len(up)
        masses, self.best = parameters[: n - 1], parameters[n - 1 : 2 * n - 1]
        self.masses = (*masses, 1 - total(masses))
        self.s, *toward = parameters[2 * n - 1 :]
        self.up, self.relative, self.distance, self.cost = up, [], [], []
        for y, d, rise in zip(self.best, (1 + 0 * self.s, *toward), up, strict=True):
            odds = 1 / y - 1 if rise else y / (1 - y)
            near = excess(-(self.s * d)) + odds * excess(self.s * d * odds)
            self.cost.append(square(d) * (odds * near if rise else near))
            self.relative.append(d * odds if rise else -d)
            self.distance.append(d * (1 - y if rise else y))

    def shifts(self, star):
        """(P̂/P* − 1)/s on every atom, for P* = `star`."""
        apart = [
            total(p * (r - other) for p, other in zip(star, self.relative, strict=True))
            for r in self.relative
        ]
        scale = 1 + self.s * mix(star, self.relative)
        return [x / scale for x in apart]

    def risk(self, masses):
        """δ/s²."""
        return mix(masses, [y * c for y, c in zip(self.best, self.cost, strict=True)])

    def gaps(self, masses):
        """Both forms of Δ/s."""
        risk = self.risk(masses)
        overlap = mix(masses, [y * (1 - y) for y in self.best])
        return (risk / 2).sqrt(), (2 * overlap * risk).sqrt() + self.s * risk


def either_sign(error, bound):
    return [(error, bound), (-error, bound)]


def retain_rate(*parameters, up):
    i = Atoms(*parameters, up=up)
    parts = [square(d) * excess(i.s * d) for d in i.shifts(i.masses)]
    return [(mix(i.masses, parts), mix(i.masses, i.cost))]


def slow_rate(*parameters, up):
    """Σ|P_r − P̂| is twice the most by which one set's mass rises."""
    i = Atoms(*parameters, up=up)
    moved = [x * d for x, d in zip(i.masses, i.shifts(i.masses), strict=True)]
    bound = (2 * mix(i.masses, i.cost)).sqrt()
    return [(2 * total(moved[k] for k in chosen), bound) for chosen in subsets(len(up))[:-1]]


def gap(*parameters, up, form):
    i = Atoms(*parameters, up=up)
    return [(mix(i.masses, i.distance), i.gaps(i.masses)[form])]


def gate(*parameters, up):
    """γP_f(missed) ≤ τ + Δ and (1−γ)(τ−τ₀)P_r(gated beyond τ₀) ≤ Δ, for every set of contexts."""
    i = Atoms(*parameters, up=up)
    true = [1 - y for y in i.best]
    rise = [-e if u else e for e, u in zip(i.distance, up, strict=True)]  # (γ̂_c − γ_c)/s
    seen = [c + i.s * r for c, r in zip(true, rise, strict=True)]
    lost = [p * c for p, c in zip(i.masses, true, strict=True)]
    kept = [p * y for p, y in zip(i.masses, i.best, strict=True)]
    found = []
    for delta in i.gaps(i.masses):
        for chosen in subsets(len(up)):
            top = larger(*[seen[k] for k in chosen])
            found.append((total(lost[k] for k in chosen), top + i.s * delta))
            # min γ̂ − max γ over the set is at most γ̂_c − γ_c of each in it
            least = -larger(*[-rise[k] for k in chosen])
            found.append((total(kept[k] for k in chosen) * least, delta))
        found.append((-mix(i.masses, rise), delta))  # γ ≤ max γ̂_c + Δ, γ̂ being at most the maximum
    return found


def gated_bias(x, a, b, cooling):
    masses = (x, 1 - x)
    share = mix(masses, (a, b))
    kept = (x * a / share, (1 - x) * b / share)
    logs = x.log(), (1 - x).log()
    bias = mix(kept, [(-(cooling * y)).exp() for y in logs]).log() + cooling * mix(kept, logs)
    return [(bias, cooling * (arb(2).log() - share.log()))]


class Tempered(Atoms):
    """What G and H name at T > 1, over s where it vanishes with s."""

    def __init__(self, *parameters, up, t) -> None:
        super().__init__(*parameters, up=up)
        self.t, self.delta, self.pair = t, self.risk(self.masses), self.gaps(self.masses)
        self.retained = mix(self.masses, self.best)
        self.kept = [x * y / self.retained for x, y in zip(self.masses, self.best, strict=True)]
        flat = [(x.log() / t).exp() * y for x, y in zip(self.masses, self.best, strict=True)]
        self.star = total(flat)
        self.first = [x / self.star for x in flat]
        self.moved = self.shifts(self.first)

    def holder(self, gap):
        """D_N/s, by exponents of s, Δ/s and δ/s²; no power of s where T ≤ 2."""
        t = self.t
        if t > 2:
            log = (2 - t) * self.s.log() + (self.delta / 2).log()
        else:
            log = (t - 1) * (self.delta / 2).log() + ((2 - t) * gap.log() if t < 2 else 0)
        # D_N sums over as many atoms as there are: n^{1−1/T} of them in counting measure
        return arb(len(self.up)) ** (1 - 1 / arb(t)) * (log / t).exp()

    def forms(self):
        """Δ and D_N: "slow", whose D_N is that of Δ = √(δ/2), then "fast" with its own."""
        return [(gap, self.holder(gap)) for gap in self.pair]

    def retain_rise(self):
        """(RE_T − RB_T)/s."""
        return -mix(self.kept, [d * log1p_ratio(self.s * d) for d in self.moved])


def tempered_forget(*parameters, up, t):
    i = Tempered(*parameters, up=up, t=t)
    lost = [x * (1 - y) for x, y in zip(i.masses, i.best, strict=True)]
    gamma = total(lost)
    moved = [p * d for p, d in zip(i.first, i.moved, strict=True)]
    leak = mix([p + i.s * d for p, d in zip(i.first, moved, strict=True)], lost) / gamma
    sup = (larger(*lost).log() / t).exp() / gamma
    bounds = [(sup * g + leak * d) / i.star for g, d in i.forms()]
    forgot = [x * d / gamma for x, d in zip(lost, moved, strict=True)]
    errors = [
        total(x if k in chosen else -x for k, x in enumerate(forgot))
        for chosen in [(), *subsets(len(up))]
    ]
    return [(error, bound) for error in errors for bound in bounds]


def tempered_retain(*parameters, up, t):
    i = Tempered(*parameters, up=up, t=t)
    rise = i.retain_rise()
    # log(1+u) ≤ u, so what holds with the logarithm holds in the slow form
    found = []
    for g, d in i.forms():
        u = d / i.star
        found.append((rise, (i.s * i.delta + g) / i.retained + u * log1p_ratio(i.s * u)))
    return found


def weighted_retain(*parameters, up, t):
    i = Tempered(*parameters, up=up, t=t)
    weights = [((1 / t - 1) * p.log()).exp() / i.star - 1 / i.retained for p in i.masses]
    squares = [square(w) for w in weights]
    inner = mix(i.masses, [w * y * (1 - y) for w, y in zip(squares, i.best, strict=True)])
    top = larger(*weights, *[-w for w in weights])
    base = i.s * i.delta / i.retained
    rise = i.retain_rise()
    return [
        (rise, base + (mix(i.masses, squares) * i.delta / 2).sqrt()),
        (rise, base + (2 * inner * i.delta).sqrt() + i.s * i.delta * top),
    ]
