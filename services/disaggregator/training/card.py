"""The card beside a model: what it is, what it was trained on, how good it was in homes left out."""

import hashlib
import json
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

UK_DALE = {
    "citation": "Kelly & Knottenbelt, The UK-DALE dataset, Sci. Data 2:150007 (2015), doi:10.1038/sdata.2015.7",
    "licence": "CC BY 4.0",
}
REFIT = {
    "citation": "Murray, Stankovic & Stankovic, An electrical load measurements dataset of United Kingdom households "
    "from a two-year longitudinal study, Sci. Data 4:160122 (2017), doi:10.1038/sdata.2016.122",
    "licence": "CC BY 4.0",
}
GJW = {"citation": "Graham Wood, nilm_gjw_data (2016), a home in Hertfordshire", "licence": "Apache-2.0"}
INPUTS = (
    "power_w [homes, 1]: mean mains power over the tick that just ended, W, not normalised; every other input X is carried: "
    "X_next of the tick before, all zeros after a gap; state_size numbers of a home in all. Outputs probability and on_power_w: "
    "[homes, appliances * lags], an appliance's lags side by side"
)
TOOLS = ("tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime")


def citations(homes: list[str]) -> list[dict[str, str]]:
    """The data sets of these homes."""
    return [text for name, text in (("UK-DALE", UK_DALE), ("REFIT", REFIT), ("GJW", GJW)) if any(name in home for home in homes)]


def write(folder: Path, content: dict[str, Any]) -> None:
    """Write card.json beside model.onnx, with the file's digest, size and the tools' versions."""
    model = (folder / "model.onnx").read_bytes()
    card = {
        **content,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "licence": "Apache-2.0",
        "sha256": hashlib.sha256(model).hexdigest(),
        "size_bytes": len(model),
        "tools": {tool: version(tool) for tool in TOOLS},
        "inputs": INPUTS,
    }
    (folder / "card.json").write_text(json.dumps(_rounded(card), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, (list, tuple)) else value
