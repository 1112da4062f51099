"""Cameras on this machine: real clips over RTSP, served again and again by GStreamer."""

from streamdyn.bench.cameras.clip import camera_clip
from streamdyn.bench.cameras.rtsp import Camera, RtspServer

__all__ = ["Camera", "RtspServer", "camera_clip"]
