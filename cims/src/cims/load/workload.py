"""What customers order: warehouses, SKUs and quantities drawn from a seed."""

import bisect
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Orders of 1 to `most_lines` distinct SKUs. `skew` 0 is uniform, else the exponent of Zipf."""

    warehouses: Sequence[int]
    skus: Sequence[int]
    skew: float = 0.0
    most_lines: int = 5
    most_pieces: int = 3
    seed: int = 1

    def orders(self) -> Iterator[tuple[int, tuple[tuple[int, int], ...]]]:
        """Endless (warehouse, lines), the lines ascending by SKU."""
        random = Random(self.seed)  # noqa: S311 - nothing to keep secret
        ranked = list(self.skus)
        random.shuffle(ranked)
        weights = itertools.accumulate((rank + 1) ** -self.skew for rank in range(len(ranked)))
        reach = list(weights)
        most = min(self.most_lines, len(ranked))
        while True:
            wanted = random.randint(1, most)
            chosen: set[int] = set()
            # Many draws of a steep Zipf repeat; a shorter order is as good as a longer search.
            for _ in range(4 * wanted):
                chosen.add(ranked[bisect.bisect_left(reach, random.random() * reach[-1])])
                if len(chosen) == wanted:
                    break
            lines = tuple((sku, random.randint(1, self.most_pieces)) for sku in sorted(chosen))
            yield random.choice(self.warehouses), lines
