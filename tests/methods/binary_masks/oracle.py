"""Evolving Binary Masks in NumPy, one individual at a time, fed the same random numbers: what the kernel must equal.

Written from the definitions, as loops over squares, pixels and parents.
"""

import dataclasses

import jax
import numpy as np


@dataclasses.dataclass
class Individual:
    """A mask that was evaluated."""

    squares: tuple  # of (row, column, radius)
    stage: int
    mask: np.ndarray  # [H, W] bool
    is_class: bool
    is_kept: bool
    probability: float
    log_odds: float
    distance: float
    confidence: float
    inverse_is_class: bool | None  # None where the inverse was not looked at
    inverse_probability: float | None
    inverse_log_odds: float | None

    @property
    def tier(self):
        if not self.is_kept:
            return 0
        return 2 if self.inverse_is_class is None or not self.inverse_is_class else 1


def first_covered(centre, radius, edge):
    return min(centre, abs(centre - radius)) if edge == "reflected" else centre - radius


def paint(squares, height, width, edge):
    mask = np.zeros((height, width), bool)
    for row, column, radius in squares:
        top, left = max(first_covered(row, radius, edge), 0), max(first_covered(column, radius, edge), 0)
        mask[top : row + radius + 1, left : column + radius + 1] = True
    return mask


def uniforms(key, *shape):
    return np.asarray(jax.random.uniform(key, (int(np.prod(shape)),))).reshape(shape)


def among(draw, count):
    return int(np.floor(np.float32(draw) * np.float32(count)))


def draw_squares(key, count, words, squares, radii, boxes):
    """Draws `count` genomes of `squares` squares."""
    radius, box, row, column = uniforms(key, 4, count, words - 1)
    genomes = []
    for i in range(count):
        genome = []
        for j in range(squares):
            top, left, bottom, right = boxes[among(box[i, j], len(boxes))]
            genome.append(
                (
                    top + among(row[i, j], bottom - top + 1),
                    left + among(column[i, j], right - left + 1),
                    radii[among(radius[i, j], len(radii))],
                )
            )
        genomes.append(tuple(genome))
    return genomes


class Oracle:
    """The search of one image; `look(masked [H, W, C]) -> (logits [K], [activation of each tap])`."""

    def __init__(self, method, look, image, fill, key, *, by_notebook):
        self.method, self.look, self.image, self.fill = method, look, image, fill
        self.by_notebook, self.edge = by_notebook, method.edge
        self.height, self.width = image.shape[:2]
        scale = np.sqrt(self.height * self.width) / 224
        self.radii = [[round(((2 * radius + 1) * scale - 1) / 2) for radius in stage.radii] for stage in method.stages]
        self.words = 1 + max(stage.squares for stage in method.stages)
        logits, self.activations = look(image)
        self.target = int(np.argmax(logits))
        self.original = self.probability(logits)
        self.known = {}
        self.key = key
        self.generations = []  # the fittest of each
        self.allowed = []  # [H, W] bool, what each stage may keep

    def probability(self, logits):
        odds = np.exp(np.float64(logits) - np.max(logits))
        return (odds / odds.sum())[self.target]

    def log_odds(self, logits):
        logits = np.float64(logits)
        return logits[self.target] - np.log(np.sum(np.exp(np.delete(logits, self.target))))

    def confidence(self, logits):
        logits = np.float64(logits)
        scaled = np.exp((logits - logits.min()) / (logits.max() - logits.min()) * 20)
        return scaled[self.target] / scaled.sum()

    def evaluate(self, squares, stage, allowed):
        name = (stage, squares)
        if name in self.known:
            return self.known[name]
        mask = paint(squares, self.height, self.width, self.edge) & allowed
        logits, activations = self.look(np.where(mask[..., None], self.image, self.fill))
        apart = []
        for mine, original in zip(activations, self.activations, strict=True):
            mine, original = np.float64(mine), np.float64(original)
            apart.append(np.mean((mine - original) ** 2) / (np.mean(original**2) if self.method.relative else 1))
        probability, is_class = self.probability(logits), int(np.argmax(logits)) == self.target
        is_kept = is_class and probability >= self.method.keep * self.original
        inverse = (None, None, None)
        if self.method.negative_reinforcement and is_kept and not mask.all():
            logits_left, _ = self.look(np.where(mask[..., None], self.fill, self.image))
            inverse = (
                int(np.argmax(logits_left)) == self.target,
                self.probability(logits_left),
                self.log_odds(logits_left),
            )
        told = (is_class, is_kept, probability, self.log_odds(logits), np.mean(apart), self.confidence(logits))
        self.known[name] = Individual(squares, stage, mask, *told, *inverse)
        return self.known[name]

    def fitness(self, one):
        if not one.mask.any() or one.mask.all():
            return -np.inf
        if self.by_notebook:
            return -one.distance if one.is_class else -1.0
        if one.tier == 0:
            return one.probability - 2
        return -one.inverse_probability if one.tier == 1 else 1 / (1 + one.distance)

    def parents(self, key, population, count):
        """Returns indices of the mothers and of the fathers, `count` each."""
        size = self.method.tournament_size
        fitness = [self.fitness(one) for one in population]
        tournaments = uniforms(key, count if self.by_notebook else 2 * count, size)
        winners = []
        for draws in tournaments:
            contestants = [among(draw, len(population)) for draw in draws]
            best = max(fitness[i] for i in contestants)
            if self.by_notebook:
                winners.append(fitness.index(best))
            else:
                winners.append(next(i for i in contestants if fitness[i] == best))
        return (winners, winners) if self.by_notebook else (winners[:count], winners[count:])

    def breed(self, key, population, stage, boxes):
        parent_key, cross_key, mutation_key, _ = jax.random.split(key, 4)
        count, squares = len(population), self.method.stages[stage].squares
        mothers, fathers = self.parents(parent_key, population, count)
        takes = uniforms(cross_key, count, self.words)
        children = [
            tuple(population[mother if takes[i, 1 + j] < 0.5 else father].squares[j] for j in range(squares))
            for i, (mother, father) in enumerate(zip(mothers, fathers, strict=True))
        ]
        chosen = [True] * count
        for attempt in range(4):
            flip_key, _ = jax.random.split(jax.random.fold_in(mutation_key, attempt))
            index_key, draw_key = jax.random.split(flip_key)
            fresh = draw_squares(draw_key, count, self.words, squares, self.drawn_radii, boxes)
            indices = uniforms(index_key, count)
            for i in range(count):
                if chosen[i]:
                    index = among(indices[i], squares)
                    children[i] = (*children[i][:index], fresh[i][index], *children[i][index + 1 :])
            chosen = [(stage, child) in self.known or child in children[:i] for i, child in enumerate(children)]
        return children, {*mothers, *fathers}

    def survive(self, population, children, parents):
        if self.by_notebook:
            following = list(children)
            if parents:
                best = max(sorted(parents), key=lambda i: self.fitness(population[i]))
                worst = min(range(len(children)), key=lambda i: self.fitness(children[i]))
                following[worst] = population[best]
            return sorted(following, key=self.fitness, reverse=True)
        elites = sorted(population, key=self.fitness, reverse=True)[: len(children) // 4]
        pool, seen, twins = [], set(), []
        for one in elites + children:
            (twins if one.squares in seen else pool).append(one)
            seen.add(one.squares)
        pool = sorted(pool, key=self.fitness, reverse=True) + twins
        return pool[: len(children)]

    def run(self):
        """Searches all stages, each for its generations; returns the last population."""
        everything = np.ones((self.height, self.width), bool)
        allowed, boxes = everything, [(0, 0, self.height - 1, self.width - 1)]
        size = self.method.sizes[0]
        first_key, _, self.key = jax.random.split(self.key, 3)
        drawn = draw_squares(first_key, size, self.words, self.method.stages[0].squares, self.radii[0], boxes)
        self.key, _ = jax.random.split(self.key)  # the generation of the whole image
        for stage, settings in enumerate(self.method.stages):
            population, had = [], 0
            self.allowed.append(allowed)
            for generation in range(settings.generations * (1 + self.method.restarts)):
                self.key, child_key = jax.random.split(self.key)
                rounds = 0 if had else min(generation // settings.generations, self.method.restarts)
                wider = 1 + self.method.widening * rounds
                self.drawn_radii = [int(((2 * radius + 1) * wider - 1) / 2) for radius in self.radii[stage]]
                if generation == 0:
                    children, parents = drawn, set()
                else:
                    children, parents = self.breed(child_key, population, stage, boxes)
                told = [self.evaluate(child, stage, allowed) for child in children]
                population = self.survive(population, told, parents)
                self.generations.append(population[0])
                if any(one.is_kept for one in self.known.values() if one.stage == stage):
                    had += 1
                if had == settings.generations:
                    break
            champion = population[0]
            if had:
                allowed = champion.mask
                boxes = [
                    tuple(
                        int(np.clip(side, 0, most - 1))
                        for side, most in (
                            (first_covered(row, radius, self.edge), self.height),
                            (first_covered(column, radius, self.edge), self.width),
                            (row + radius, self.height),
                            (column + radius, self.width),
                        )
                    )
                    for row, column, radius in champion.squares
                ]
            if stage + 1 < len(self.method.stages):
                first_key, _, self.key = jax.random.split(self.key, 3)
                following = self.method.stages[stage + 1]
                drawn = draw_squares(first_key, size, self.words, following.squares, self.radii[stage + 1], boxes)
        return population

    def score_matrix(self):
        """Adds up the squares of the fittest of each generation."""
        total = np.zeros((self.height, self.width))
        for one in self.generations:
            worth = one.confidence if one.tier == 2 else -1.0
            for square in one.squares:
                covered = paint([square], self.height, self.width, self.edge)
                total[covered & self.allowed[one.stage]] += worth / one.mask.sum()
        return (total - total.min()) / (total.max() - total.min())

    def evidence(self):
        """Compares what keeps a pixel with what does not: among a stage's masks, among their inverses, in pairs."""
        masks = list(self.known.values())
        inverted = [one for one in masks if one.inverse_log_odds is not None]
        groups = [[(one.mask, one.log_odds), (~one.mask, one.inverse_log_odds)] for one in inverted]
        for stage in range(len(self.method.stages)):
            groups.append([(one.mask, one.log_odds) for one in masks if one.stage == stage])
            groups.append([(~one.mask, one.inverse_log_odds) for one in inverted if one.stage == stage])
        evidence = np.zeros((self.height, self.width))
        for y in range(self.height):
            for x in range(self.width):
                differences, weights = [0.0], [0.0]
                for group in groups:
                    kept = [response for mask, response in group if mask[y, x]]
                    left = [response for mask, response in group if not mask[y, x]]
                    if kept and left:
                        differences.append(np.mean(kept) - np.mean(left))
                        weights.append(len(kept) * len(left) / (len(kept) + len(left)))
                if sum(weights) > 0:
                    evidence[y, x] = np.average(differences, weights=weights)
        return evidence
