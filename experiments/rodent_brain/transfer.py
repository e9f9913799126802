"""Transfer functions of rodent_brain: as in mouse_reach, with the muscles held until the brain has settled.

Each is called once per CLE step, after the step; what it returns acts from the next step on.
"""

from reafference import transfer

# In the order Foot1, Foot2, Radius1, Radius2, Humerus1, Humerus2, Humerus3, Humerus4.
BASE_EXCITATION = (0.5, 0.9, 0.2, 0.4, 0.6, 0.8, 0.2, 0.6)


@transfer(writes="brain.drive")
def drive(step, params):
    """Rates of the three Poisson sources in Hz; only the first is ever used."""
    rate_hz = params.drive_hz if step >= params.drive_from_step else 0.0
    return [rate_hz, 0.0, 0.0]


@transfer(writes="body.excitation", priority=1)
def base(step, params):
    """Hold the stick loosely at first. The muscles that nobody else drives keep these values."""
    return BASE_EXCITATION if step < params.base_steps else None


@transfer(reads="brain.motor.M1_L1_ENGC", writes=["body.Foot2", "body.Humerus1", "body.Humerus3"])
def motor_drive(voltage_mV, step, params):
    """Excitation of the three brain-driven muscles, in 0..1."""
    if step < params.base_steps:
        return None
    scale = 0.5 if params.scale == "half" else 1.0
    return min(max(scale * voltage_mV, 0.0), 1.0)
