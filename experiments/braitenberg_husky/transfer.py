"""Transfer functions of braitenberg_husky: eyes to brain, brain to wheels, and the event that turns a screen red."""

import numpy as np

from reafference import transfer


@transfer(reads="body.camera/eye.image", writes="brain.eye")
def see(image, params):
    """Poisson rates in Hz from the share of pure red in the left and right half of the image, shape (240, 320, 3)."""
    red = is_red(image)
    left, right = np.split(red, 2, axis=1)
    return [
        params.red_rate_hz * left.mean(),
        params.red_rate_hz * right.mean(),
        params.other_rate_hz * (1.0 - red.mean()),
    ]


@transfer(reads=["brain.wheels.neurons[6]", "brain.wheels.neurons[7]"], writes="body.velocity")
def drive(left_hz, right_hz):
    """Speed in m/s and turning rate in rad/s of the robot from the rates of its two wheel neurons."""
    return [0.01 * min(left_hz, right_hz), 0.05 * (right_hz - left_hz)]


@transfer(writes="body.screens")
def turn_red(t, params):
    """The colour of the two screens, left and right: 0 is blue, 1 is red."""
    on = t >= params.red_from_s
    return [float(on and params.red_screen == "left"), float(on and params.red_screen == "right")]


def is_red(image):
    """Where a picture is pure red: hue 0 (in half degrees), saturation and value at least 30 of 255."""
    red, green, blue = (image[..., i].astype(np.int16) for i in range(3))
    strong = (red >= 30) & (red - np.minimum(green, blue) >= red * 30 / 255)
    # A hue below half a degree of the 360: green and blue differ by less than a 120th of the colourfulness.
    return strong & (red > np.maximum(green, blue)) & (120 * np.abs(green - blue) < red - np.minimum(green, blue))
