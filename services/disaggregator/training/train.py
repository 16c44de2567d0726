"""Trains a network by truncated back-propagation over long sequences with carried state."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from services.disaggregator.training.activations import rule_of
from services.disaggregator.training.augment import Batch, Mixture, Sequences, happens
from services.disaggregator.training.features import look_back, over_sequences
from services.disaggregator.training.network import Shape, blindfold, build, over_time, zero_states
from services.disaggregator.training.packs import Floats, Recording
from services.disaggregator.training.progress import tell

RESTART = 64


@dataclass(frozen=True)
class Plan:
    """How a network is trained; an epoch is `batches` batches of `streams` sequences of `length` samples.

    In `restart_share` of the batches the meter falls silent every RESTART samples: what a home says right after a gap counts too.
    """

    appliances: tuple[str, ...]
    period_s: int
    shape: Shape
    mixture: Mixture
    epochs: int = 24
    batches: int = 16
    streams: int = 32
    length: int = 1024
    truncation: int = 128
    learning_rate: float = 3e-3
    weight_decay: float = 1e-4
    watts_weight: float = 0.5
    importance: tuple[float, ...] = ()
    restart_share: float = 0.0
    seed: int = 1


@dataclass
class Tensors:
    """What a batch becomes: network inputs, and targets [b, t, appliances * lags]."""

    inputs: list[Floats]
    on: Floats
    watts: Floats
    weight: Floats


def tensors(batch: Batch, plan: Plan, restart: int | None = None) -> Tensors:
    """Features, recent samples and lagged targets; a lag's first samples do not count. Every `restart` samples all begins anew."""
    scales_w = np.array([rule_of(name, plan.period_s).scale_w for name in plan.appliances], np.float32)
    count, samples = batch.mains_w.shape
    mains_w = batch.mains_w.reshape(-1, restart or samples)
    inputs = [over_sequences(mains_w, plan.period_s), look_back(mains_w, plan.shape.ages)]
    inputs[0][..., list(plan.shape.blind_to)] = 0
    targets = [values.reshape(*mains_w.shape, -1) for values in (batch.on, batch.power_w / scales_w, batch.weight)]
    joined = [values.reshape(count, samples, -1) for values in (*inputs, *(_lagged(values, plan.shape.lags) for values in targets))]
    return Tensors(joined[:2], *joined[2:])


def _lagged(values: Floats, lags: tuple[int, ...]) -> Floats:
    count, samples, appliances = values.shape
    shifted = [np.pad(values, ((0, 0), (lag, 0), (0, 0)))[:, :samples] for lag in lags]
    return np.stack(shifted, -1).reshape(count, samples, appliances * len(lags))


def train(
    plan: Plan,
    recordings: list[Recording],
    templates: list[Recording],
    watch: Callable[[int, keras.Model, float], None] | None = None,
) -> keras.Model:
    """Train; `templates` give activations only. `watch(epoch, model, loss)` is called after every epoch."""
    keras.utils.set_random_seed(plan.seed)
    random = np.random.default_rng(plan.seed)
    sequences = Sequences(recordings, templates, plan.appliances, plan.mixture, plan.length, random)
    model = build(plan.shape)
    total = plan.epochs * plan.batches * (plan.length // plan.truncation)
    rate = keras.optimizers.schedules.CosineDecay(
        plan.learning_rate / 20, total, alpha=0.02, warmup_target=plan.learning_rate, warmup_steps=total // 20
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=plan.weight_decay, clipnorm=1.0, use_ema=True, ema_momentum=0.997)
    step = _step(model, optimizer, plan)
    for epoch in range(plan.epochs):
        began, losses = time.monotonic(), list[float]()
        for _ in range(plan.batches):
            restart = RESTART if happens(plan.restart_share, random) else None
            losses += _batch(step, tensors(sequences.draw(plan.streams), plan, restart), plan, restart)
        loss = float(np.mean(losses))
        tell(f"epoch {epoch + 1}/{plan.epochs} loss {loss:.4f} {time.monotonic() - began:.0f} s")
        if watch:
            watch(epoch, model, loss)
    optimizer.finalize_variable_values(model.trainable_variables)
    blindfold(model, plan.shape)
    return model


def _batch(step: Any, data: Tensors, plan: Plan, restart: int | None) -> list[float]:
    states, losses, size = zero_states(plan.shape, plan.streams), list[float](), restart or plan.truncation
    for first in range(0, plan.length, size):
        part = slice(first, first + size)
        states = zero_states(plan.shape, plan.streams) if restart else states
        inputs = [tf.constant(values[:, part]) for values in data.inputs]
        targets = [tf.constant(values[:, part]) for values in (data.on, data.watts, data.weight)]
        loss, states = step(inputs, targets, states)
        losses.append(float(loss))
    return losses


def _step(model: keras.Model, optimizer: keras.optimizers.Optimizer, plan: Plan) -> Any:
    optimizer.build(model.trainable_variables)
    importance = np.repeat(plan.importance or [1.0] * len(plan.appliances), len(plan.shape.lags)).astype(np.float32)

    @tf.function
    def step(inputs: list[Any], targets: list[Any], states: list[Any]) -> tuple[Any, list[Any]]:
        on, watts, weight = targets
        with tf.GradientTape() as tape:
            logits, drawn, *states_next = over_time(model, plan.shape, *inputs, states)
            wrong = tf.nn.sigmoid_cross_entropy_with_logits(on, logits)
            taken_for_on = tf.maximum(on, tf.stop_gradient(tf.sigmoid(logits)))
            off_by = tf.abs(drawn - watts * on) * taken_for_on
            each = tf.reduce_sum(weight * (wrong + plan.watts_weight * off_by), (0, 1))
            loss = tf.reduce_sum(importance * each / (tf.reduce_sum(weight, (0, 1)) + 0.1 * plan.streams * plan.truncation)) / len(
                plan.shape.lags
            )
        gradients = tape.gradient(loss, model.trainable_variables)
        usable = tf.math.is_finite(tf.linalg.global_norm(gradients))
        gradients = [tf.where(usable, gradient, tf.zeros_like(gradient)) for gradient in gradients]
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss, states_next

    return step
