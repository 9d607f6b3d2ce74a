"""Replace networks that are too large for a test of seconds."""

from typing import Any

from ssl_video.registry import algorithms


def one_backbone(algorithm: str, backbone: str) -> dict[str, Any]:
    """Settings of those of an algorithm's networks that are by default of a backbone of their own."""
    roles = getattr(algorithms.get(algorithm), "roles", {})
    return {role: {"backbone": backbone} for role, request in roles.items() if request.backbone}
