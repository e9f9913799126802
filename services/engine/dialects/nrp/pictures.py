"""`cv_bridge`: pictures of messages as arrays, and back; and the detection of red of `tf_lib`."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .messages import message_type

Picture = npt.NDArray[Any]

_CHANNELS = {"mono8": 1, "8UC1": 1, "rgb8": 3, "bgr8": 3, "8UC3": 3, "rgba8": 4, "bgra8": 4, "8UC4": 4}
_DTYPES = {"16UC1": np.uint16, "mono16": np.uint16, "32FC1": np.float32}
_GREY = np.array([0.299, 0.587, 0.114])


class CvBridgeError(TypeError):
    """A picture that cannot be turned into another encoding."""


class CvBridge:
    """`cv_bridge.CvBridge`."""

    def imgmsg_to_cv2(self, img_msg: Any, desired_encoding: str = "passthrough") -> Picture:
        """The picture of a message, shape (rows, columns) or (rows, columns, colours). Raises CvBridgeError."""
        if img_msg is None:
            raise CvBridgeError("there is no picture yet: the topic is None until the camera has sent one")
        picture = _decoded(img_msg)
        if desired_encoding in ("passthrough", img_msg.encoding):
            return picture
        return _turned(picture, img_msg.encoding, desired_encoding)

    def cv2_to_imgmsg(self, cvim: Any, encoding: str = "passthrough", header: Any = None) -> Any:
        """A message with this picture. Raises CvBridgeError."""
        picture = np.ascontiguousarray(cvim)
        channels = 1 if picture.ndim == 2 else picture.shape[2]
        if encoding == "passthrough":
            kinds = {np.dtype("u1"): "8UC", np.dtype("u2"): "16UC", np.dtype("f4"): "32FC"}
            encoding = f"{kinds.get(picture.dtype, '8UC')}{channels}"
        if encoding in _CHANNELS and _CHANNELS[encoding] != channels:
            raise CvBridgeError(f"a picture with {channels} channels cannot be sent as {encoding}")
        message: Any = message_type("sensor_msgs/Image")()
        if header is not None:
            message.header = header
        message.height, message.width, message.encoding = picture.shape[0], picture.shape[1], encoding
        message.step = message.width * channels * picture.itemsize
        message.data = picture.tobytes()
        return message


@dataclass(frozen=True, slots=True)
class Redness:
    """Shares of red pixels in the left and right half of a picture, and of those in all of it that are not red."""

    left: float
    right: float
    go_on: float


def detect_red(image: Any) -> Redness:
    """Where a picture is pure red: its hue is 0 in half degrees, its saturation and value at least 30 of 255.

    Nothing is red, and nothing is not, where there is no picture.
    """
    if image is None:
        return Redness(0.0, 0.0, 0.0)
    picture = CvBridge().imgmsg_to_cv2(image, "rgb8").astype(np.int32)
    red, green, blue = picture[..., 0], picture[..., 1], picture[..., 2]
    strong = (red >= 30) & (255 * (red - np.minimum(green, blue)) >= 30 * red)
    # A hue below half a degree of the 360: green and blue differ by less than a 120th of the colourfulness.
    pure = (red > np.maximum(green, blue)) & (120 * np.abs(green - blue) < red - np.minimum(green, blue))
    found = strong & pure
    middle = found.shape[1] // 2
    return Redness(
        left=float(2 * found[:, :middle].sum() / found.size),
        right=float(2 * found[:, middle:].sum() / found.size),
        go_on=float(1.0 - found.sum() / found.size),
    )


def _decoded(message: Any) -> Picture:
    encoding = message.encoding
    dtype = np.dtype(_DTYPES.get(encoding, np.uint8))
    channels = _CHANNELS.get(encoding, 1)
    if encoding not in _CHANNELS and encoding not in _DTYPES:
        raise CvBridgeError(f"the encoding {encoding!r} is not known: {', '.join([*_CHANNELS, *_DTYPES])} are")
    picture = np.frombuffer(bytes(message.data), dtype.newbyteorder(">" if message.is_bigendian else "<"))
    shape = (message.height, message.width) if channels == 1 else (message.height, message.width, channels)
    return picture.reshape(shape).astype(dtype)


def _turned(picture: Picture, encoding: str, wanted: str) -> Picture:
    colours = _as_rgb(picture, encoding)
    match wanted:
        case "rgb8" | "8UC3":
            return colours
        case "bgr8":
            return np.ascontiguousarray(colours[..., ::-1])
        case "mono8" | "8UC1":
            return picture if picture.ndim == 2 else np.rint(colours @ _GREY).astype(np.uint8)
        case "rgba8" | "bgra8":
            own = colours if wanted == "rgba8" else colours[..., ::-1]
            return np.dstack([own, np.full(own.shape[:2], 255, np.uint8)])
    raise CvBridgeError(f"a picture with the encoding {encoding} cannot be had as {wanted!r}")


def _as_rgb(picture: Picture, encoding: str) -> Picture:
    if picture.dtype != np.uint8:
        raise CvBridgeError(f"a picture with the encoding {encoding} has no colours: ask for 'passthrough'")
    if picture.ndim == 2:
        return np.dstack([picture] * 3)
    own = picture[..., :3]
    return np.ascontiguousarray(own[..., ::-1]) if encoding.startswith("bgr") else np.ascontiguousarray(own)
