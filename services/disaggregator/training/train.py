"""Trains one appliance's network by truncated back-propagation over long sequences with carried state."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from services.disaggregator.training.activations import rule_of
from services.disaggregator.training.augment import Augmentation, Batch, Sequences
from services.disaggregator.training.features import look_back, over_sequences
from services.disaggregator.training.network import Shape, build, zero_states
from services.disaggregator.training.packs import Floats, Recording


@dataclass(frozen=True)
class Plan:
    """How one appliance is trained; an epoch is `batches` batches of `streams` sequences of `length` samples."""

    appliance: str
    period_s: int = 30
    shape: Shape = Shape()
    augmentation: Augmentation = Augmentation()
    epochs: int = 24
    batches: int = 16
    streams: int = 64
    length: int = 1024
    truncation: int = 128
    learning_rate: float = 3e-3
    watts_weight: float = 0.5
    seed: int = 1


@dataclass
class Tensors:
    """What a batch becomes: network inputs, and targets [b, t, lags]."""

    inputs: list[Floats]
    on: Floats
    watts: Floats
    weight: Floats


def tensors(batch: Batch, plan: Plan) -> Tensors:
    """Features, windows and lagged targets; a lag's first samples do not count."""
    lags = plan.shape.lags
    scale_w = rule_of(plan.appliance, plan.period_s).scale_w
    inputs = [over_sequences(batch.mains_w, plan.period_s), *(look_back(batch.mains_w, lag) for lag in lags)]
    on = np.stack([_lagged(batch.on.astype(np.float32), lag) for lag in lags], -1)
    watts = np.stack([_lagged(batch.power_w / np.float32(scale_w), lag) for lag in lags], -1)
    weight = np.stack([_lagged(batch.valid.astype(np.float32), lag) * batch.valid for lag in lags], -1)
    return Tensors(inputs, on, watts, weight)


def _lagged(values: Floats, lag: int) -> Floats:
    return np.pad(values, ((0, 0), (lag, 0)))[:, : values.shape[1]]


def train(
    plan: Plan,
    recordings: list[Recording],
    extra: list[Recording],
    watch: Callable[[int, keras.Model, float], None] | None = None,
) -> keras.Model:
    """Train; `extra` homes give activations only. `watch(epoch, model, loss)` is called after every epoch."""
    keras.utils.set_random_seed(plan.seed)
    random = np.random.default_rng(plan.seed)
    sequences = Sequences(recordings, plan.appliance, plan.augmentation, plan.length, random, extra)
    model = build(plan.shape)
    total = plan.epochs * plan.batches * (plan.length // plan.truncation)
    rate = keras.optimizers.schedules.CosineDecay(
        plan.learning_rate / 20, total, alpha=0.02, warmup_target=plan.learning_rate, warmup_steps=total // 20
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=1e-4, clipnorm=1.0)
    step = _step(model, optimizer, plan)
    for epoch in range(plan.epochs):
        began, losses = time.monotonic(), list[float]()
        for _ in range(plan.batches):
            losses += _batch(step, tensors(sequences.draw(plan.streams), plan), plan)
        loss = float(np.mean(losses))
        print(f"{plan.appliance} epoch {epoch + 1}/{plan.epochs} loss {loss:.4f} {time.monotonic() - began:.0f} s", flush=True)
        if watch:
            watch(epoch, model, loss)
    return model


def _batch(step: Any, data: Tensors, plan: Plan) -> list[float]:
    states, losses = zero_states(plan.shape, plan.streams), list[float]()
    for first in range(0, plan.length, plan.truncation):
        part = slice(first, first + plan.truncation)
        inputs = [tf.constant(values[:, part]) for values in data.inputs]
        targets = [tf.constant(values[:, part]) for values in (data.on, data.watts, data.weight)]
        loss, states = step(inputs, targets, states)
        losses.append(float(loss))
    return losses


def _step(model: keras.Model, optimizer: keras.optimizers.Optimizer, plan: Plan) -> Any:
    optimizer.build(model.trainable_variables)

    @tf.function
    def step(inputs: list[Any], targets: list[Any], states: list[Any]) -> tuple[Any, list[Any]]:
        on, watts, weight = targets
        with tf.GradientTape() as tape:
            logits, drawn, *states_next = model([*inputs, *states], training=True)
            wrong = tf.nn.sigmoid_cross_entropy_with_logits(on, logits)
            off_by = tf.abs(drawn - watts) * on
            loss = tf.reduce_sum(weight * (wrong + plan.watts_weight * off_by)) / (tf.reduce_sum(weight) + 1.0)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss, states_next

    return step
