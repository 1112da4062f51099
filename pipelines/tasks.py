"""One line to a pipeline for each task, with a policy that suits it."""

from typing import Any

from streamdyn import ModelError, Pipeline, load_model, load_policy


def recognition(model: str, policy: str = "Change(threshold=6)", **options: Any) -> Pipeline:
    """Say what each frame shows. A whole picture has one answer, so no block needs its margin.

    Args:
        model: as for `load_model`, which also takes the options (card, size, block, threads).
        policy: as for `load_policy`.

    Raises:
        ModelError: the model cannot be loaded, or is for another task.
        PolicyError: the policy cannot be built.
    """
    return _pipeline("recognition", model, policy, options)


def detection(model: str, policy: str = "Change(threshold=6, grow=1)", **options: Any) -> Pipeline:
    """Say what stands where. As `recognition`; a box spans blocks, so the mask grows by one."""
    return _pipeline("detection", model, policy, options)


def segmentation(
    model: str = "street", policy: str = "Change(threshold=6, grow=1)", **options: Any
) -> Pipeline:
    """Say what each pixel belongs to, by default with the built-in street model."""
    return _pipeline("segmentation", model, policy, options)


def _pipeline(task: str, model: str, policy: str, options: dict[str, Any]) -> Pipeline:
    loaded = load_model(model, **options)
    if loaded.task != task:
        raise ModelError(f"{model} is a model for {loaded.task}, not for {task}")
    return Pipeline(loaded, load_policy(policy))
