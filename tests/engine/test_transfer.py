"""services.engine.transfer: declare, order, evaluate, isolate."""

import math
import signal
from dataclasses import replace

import numpy as np
import pytest

from reafference import codec
from reafference.codec import INLINE_BELOW
from reafference.errors import BadExperiment, PortMismatch, ScriptError
from reafference.frames import Port, Ports, Stream
from tests.engine.toys import BRAIN, PORTS, declared, made, port

# Functions that take too long are cut off with the alarm clock that pytest-timeout would use too.
pytestmark = pytest.mark.timeout(120, method="thread")


def switched_off(transfer, step=5):
    """Evaluate once; the one message that is expected."""
    (message,) = transfer.evaluate(step * 20_000_000, step)
    assert transfer.switched_off() == [message.function]
    return message


# --- reading and writing ------------------------------------------------------------------------------------


def test_a_function_reads_writes_and_is_called_once():
    transfer = made(
        """
        @transfer(reads=["brain.M1_L1", "body.position.elbow"], writes="body.Foot2")
        def drive(voltage_mV, angle_rad):
            calls.append((voltage_mV, angle_rad))
            return voltage_mV / 2 + angle_rad
        calls = []
        """
    )
    transfer.values["brain"]["readout.voltage"] = np.array([0.5, 9.0])
    transfer.values["body"]["joints.position"] = np.array([0.25, 9.0])
    assert transfer.evaluate(100_000_000, 5) == []
    assert list(transfer.inputs["body"]["excitation"]) == [0.0, 0.5, 0.0, 0.0]
    calls = transfer.functions[0].declaration.function.__globals__["calls"]
    assert calls == [(0.5, 0.25)]


def test_scalars_come_as_python_numbers_and_arrays_as_read_only_views():
    transfer = made(
        """
        @transfer(reads=["body.ticks", "brain.M1_L1", "brain.voltage", "body.eye", "brain.sender"])
        def look(ticks, one, both, image, sender):
            assert type(ticks) is int, type(ticks)
            assert type(one) is float, type(one)
            assert both.shape == (2,) and not both.flags.writeable
            assert image.shape == (2, 2) and image.dtype == "u1"
            assert sender.shape == (0,)
        """
    )
    assert transfer.evaluate(0, 0) == []


def test_who_writes_into_what_it_read_is_switched_off_and_the_value_stays():
    transfer = made(
        """
        @transfer(reads="brain.voltage", writes="body.Foot2")
        def rude(voltage):
            voltage[0] = 1.0
            return 0.0
        """
    )
    assert "read-only" in switched_off(transfer).text
    assert list(transfer.values["brain"]["readout.voltage"]) == [0.0, 0.0]


def test_before_the_first_step_resting_values_are_read_and_kept_where_nobody_writes():
    ports = {
        "brain": Ports(
            inputs=(port("drive", (2,), rest=np.array([7.0, 8.0])),),
            outputs=(port("sinks.v", (), rest=np.array(-65.0)),),
        )
    }
    transfer = made(
        """
        @transfer(reads="brain.v", writes="brain.drive")
        def hold(v):
            seen.append(v)
            return None
        seen = []
        """,
        ports=ports,
    )
    transfer.evaluate(0, 0)
    assert transfer.functions[0].declaration.function.__globals__["seen"] == [-65.0]
    assert list(transfer.inputs["brain"]["drive"]) == [7.0, 8.0]


def test_a_large_input_can_be_written_again_after_it_was_sent():
    size = INLINE_BELOW // 8
    ports = {"brain": Ports(inputs=(port("drive", (size,)),), outputs=())}
    transfer = made(
        """
        import numpy
        @transfer(writes="brain.drive")
        def drive(step):
            return numpy.full(8192, float(step))
        """,
        ports=ports,
    )
    sent = []
    for step in range(3):
        assert transfer.evaluate(0, step) == []
        stream = Stream(step=step, t_ns=0, arrays=transfer.inputs["brain"])
        sent.append(codec.encode(stream, run="r", src="engine", topic=b"r/engine/inputs/brain/"))
    for step, packed in enumerate(sent):
        assert (codec.decode(packed.parts()).frame.arrays["drive"] == step).all()


def test_want_is_the_ports_that_functions_read():
    transfer = made(
        """
        @transfer(reads=["brain.M1_L1", "brain.rate.A", "body.y"], writes="body.Foot2")
        def f(a, b, c): return 0.0
        @transfer(reads="brain.M1_L23", active=False)
        def g(a): ...
        """
    )
    assert transfer.want("brain") == ("rates.rate", "readout.voltage")
    assert transfer.want("body") == ("tip.position",)
    assert transfer.want("nobody") == ()


# --- order ---------------------------------------------------------------------------------------------------


def test_functions_that_write_to_the_brain_run_first_then_by_priority_then_by_name():
    transfer = made(
        """
        @transfer(writes="body.Foot1", priority=9)
        def a_body_high(): ...
        @transfer(writes="body.Foot1")
        def c_body(): ...
        @transfer(writes="body.Foot1")
        def b_body(): ...
        @transfer()
        def a_monitor(): ...
        @transfer(writes="brain.bias")
        def z_brain(): ...
        @transfer(writes=["body.Foot1", "brain.bias"])
        def y_both(): ...
        @transfer(writes="brain.bias", priority=-1)
        def a_brain_low(): ...
        """
    )
    names = [function.name for function in transfer.functions]
    assert names == ["y_both", "z_brain", "a_brain_low", "a_body_high", "a_monitor", "b_body", "c_body"]


def test_a_later_function_writes_over_an_earlier_one():
    transfer = made(
        """
        @transfer(writes="body.excitation", priority=1)
        def base(): return [0.1, 0.2, 0.3, 0.4]
        @transfer(writes="body.Foot2")
        def one(): return 0.9
        """
    )
    transfer.evaluate(0, 0)
    assert list(transfer.inputs["body"]["excitation"]) == [0.1, 0.9, 0.3, 0.4]


# --- results ---------------------------------------------------------------------------------------------------


def returning(text, writes='["body.Foot1", "body.Foot2", "body.Humerus1"]'):
    return made(
        f"""
        import numpy as np
        @transfer(writes={writes})
        def f(): return {text}
        """
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.5", [0.5, 0.5, 0.5]),
        ("1", [1.0, 1.0, 1.0]),
        ("True", [1.0, 1.0, 1.0]),
        ("np.float32(0.5)", [0.5, 0.5, 0.5]),
        ("np.array(0.5)", [0.5, 0.5, 0.5]),
        ("[0.1, 0.2, 0.3]", [0.1, 0.2, 0.3]),
        ("(0.1, 0.2, 0.3)", [0.1, 0.2, 0.3]),
        ("np.array([0.1, 0.2, 0.3])", [0.1, 0.2, 0.3]),
        ("[0.1, None, 0.3]", [0.1, 0.7, 0.3]),
        ("None", [0.7, 0.7, 0.7]),
        ("{'body.Foot2': 0.2}", [0.7, 0.2, 0.7]),
        ("{'body.Foot2': 0.2, 'body.Foot1': None}", [0.7, 0.2, 0.7]),
        ("{}", [0.7, 0.7, 0.7]),
    ],
)
def test_results_are_spread_over_what_is_written_and_none_holds(text, expected):
    transfer = returning(text)
    transfer.inputs["body"]["excitation"][:] = 0.7
    assert transfer.evaluate(0, 0) == []
    assert list(transfer.inputs["body"]["excitation"]) == pytest.approx([*expected, 0.7])


@pytest.mark.parametrize(
    ("text", "expected"),
    [("[0.1, 0.2, 0.3, 0.4]", [0.1, 0.2, 0.3, 0.4]), ("{'body.excitation': (1, 0, 1, 0)}", [1.0, 0.0, 1.0, 0.0])],
)
def test_a_whole_port_is_written_at_once(text, expected):
    transfer = returning(text, '"body.excitation"')
    assert transfer.evaluate(0, 0) == []
    assert list(transfer.inputs["body"]["excitation"]) == expected


@pytest.mark.parametrize("text", ["[[1, 2, 3], np.zeros((2, 3)), 5]", "([1, 2, 3], None, 5)"])
def test_several_values_may_have_different_forms(text):
    transfer = returning(text, '["brain.drive", "body.table", "body.gain"]')
    assert transfer.evaluate(0, 0) == []
    assert list(transfer.inputs["brain"]["drive"]) == [1.0, 2.0, 3.0]
    assert transfer.inputs["body"]["gain"] == 5


WRONG_FORMS = [
    ('"body.Foot1"', "[0.1, 0.2]", r"returned shape \(2,\) for body.excitation.Foot1: expected a number"),
    ('"body.Foot1"', "'full'", "returned 'full' for body.excitation.Foot1: expected a number"),
    ('"brain.bias"', "'full'", "expected a number in pA"),
    ('"brain.drive"', "1.0", r"returned shape \(\) for brain.drive: expected an array of shape \(3,\) in Hz"),
    ('"brain.drive"', "[1, 2]", r"expected an array of shape \(3,\) in Hz"),
    ('"brain.drive"', "[1, 'two', 3]", "returned"),
    ('"body.table"', "np.zeros((3, 2))", r"returned shape \(3, 2\) for body.table"),
    ('["body.Foot1", "body.Foot2"]', "[0.1]", "returned 1 values but writes to 2 ports: return one number for all"),
    ('["body.Foot1", "body.Foot2"]', "[0.1, 0.2, 0.3]", "returned 3 values but writes to 2 ports"),
    ('["body.Foot1", "body.Foot2"]', "[0.1, [0.2]]", r"returned shape \(1,\) for body.excitation.Foot2"),
    ('"body.Foot1"', "{'body.Foot2': 1}", r"a value for 'body.Foot2', which it does not write to \(did you mean"),
    ('"body.Foot1"', "{1: 1}", "a value for 1, which it does not write to"),
]


@pytest.mark.parametrize(("writes", "text", "words"), WRONG_FORMS)
def test_a_wrong_form_before_the_first_step_is_a_port_mismatch(writes, text, words):
    with pytest.raises(PortMismatch, match=f"transfer function 'f' .*{words}"):
        returning(text, writes).evaluate(0, 0)


@pytest.mark.parametrize(("writes", "text", "words"), WRONG_FORMS)
def test_a_wrong_form_later_switches_the_function_off(writes, text, words):
    transfer = returning(text, writes)
    message = switched_off(transfer, step=1)
    assert message.text.endswith("; it is switched off and its last values are held")
    assert message.type == "runtime"


@pytest.mark.parametrize(
    ("writes", "text", "words"),
    [
        ('"body.Foot1"', "float('nan')", "returned NaN for body.excitation.Foot1"),
        ('"brain.bias"', "-float('inf')", "returned -inf for brain.bias"),
        ('"brain.drive"', "[1, np.nan, np.inf]", "returned NaN for brain.drive"),
        ('"body.Foot1"', "1.5", "returned 1.5 for body.excitation.Foot1: expected 1 or less"),
        ('"body.Foot1"', "-1e-9", "returned -1e-09 for body.excitation.Foot1: expected 0 or more"),
        ('"body.excitation"', "[0, 0, 0, 2]", "returned 2 for body.excitation: expected 1 or less"),
        ('"brain.drive"', "[0, 0, -3]", "returned -3 for brain.drive: expected 0 or more"),
    ],
)
@pytest.mark.parametrize("step", [0, 7])
def test_a_number_that_cannot_be_switches_the_function_off_at_any_step(writes, text, words, step):
    transfer = returning(text, writes)
    message = switched_off(transfer, step)
    assert message.text == f"transfer function 'f' {words}; it is switched off and its last values are held"
    assert (message.step, message.t_ns) == (step, step * 20_000_000)


def test_limits_themselves_are_allowed():
    transfer = returning("[0.0, 1.0, 0.5]")
    assert transfer.evaluate(0, 0) == []


def test_a_bad_value_in_second_place_leaves_no_half_result():
    transfer = returning("[0.1, 5.0, 0.3]")
    switched_off(transfer)
    assert list(transfer.inputs["body"]["excitation"]) == [0.0, 0.0, 0.0, 0.0]


def test_a_number_for_an_integer_port_becomes_one():
    transfer = returning("3.0", '"body.gain"')
    assert transfer.evaluate(0, 0) == []
    assert transfer.inputs["body"]["gain"].dtype == np.int64


# --- isolation ---------------------------------------------------------------------------------------------------


def test_a_function_that_raises_is_switched_off_and_the_others_go_on():
    transfer = made(
        """
        import math

        @transfer(writes="body.Foot1", priority=2)
        def good(step):
            return min(step / 10, 1.0)

        @transfer(reads="body.y", writes="body.Foot2", priority=1)
        def bad(y):
            if y > 1:
                return math.sqrt(1 - y)
            return 0.25

        @transfer(writes="body.Humerus1")
        def last():
            return 0.75
        """
    )
    assert transfer.evaluate(0, 0) == []
    transfer.values["body"]["tip.position"] = np.array([0.0, 2.0, 0.0])
    (message,) = transfer.evaluate(60_000_000, 3)
    assert (message.function, message.line, message.line_text) == ("bad", 11, "return math.sqrt(1 - y)")
    assert message.file == "/experiment/transfer.py"
    assert (message.step, message.severity, message.type, message.source) == (
        3,
        "error",
        "runtime",
        "transfer function",
    )
    assert message.text == (
        "transfer function 'bad': ValueError: math domain error; it is switched off and its last values are held"
    )
    assert transfer.evaluate(80_000_000, 4) == []
    assert list(transfer.inputs["body"]["excitation"]) == [0.4, 0.25, 0.75, 0.0]
    assert transfer.switched_off() == ["bad"]


def test_the_line_is_the_users_even_if_the_error_comes_from_a_library():
    transfer = made(
        """
        import numpy as np

        def helper(values):
            return np.reshape(values, (7,))

        @transfer(reads="brain.voltage", writes="body.Foot2")
        def f(voltage):
            return helper(voltage)
        """
    )
    message = switched_off(transfer)
    assert (message.line, message.line_text) == (5, "return np.reshape(values, (7,))")


@pytest.mark.parametrize(
    ("body", "phrase"),
    [
        ("raise SystemExit('enough')", "SystemExit: enough"),
        ("exit()", "SystemExit"),
        ("raise Exception", "Exception"),
        ("return undefined", "NameError: name 'undefined' is not defined"),
        ("raise ValueError('two\\nlines')", "ValueError: two lines"),
        ("return f()", "RecursionError: maximum recursion depth exceeded"),
    ],
)
def test_no_way_of_failing_gets_past_the_isolation(body, phrase):
    transfer = made(
        f"""
        @transfer(writes="body.Foot2")
        def f():
            {body}
        """
    )
    message = switched_off(transfer)
    assert message.text.startswith(f"transfer function 'f': {phrase}")
    assert message.line == 4


@pytest.mark.parametrize(
    "body",
    [
        "while True: pass",
        "import time; time.sleep(60)",
        """
            while True:
                try:
                    while True: pass
                except Exception:
                    pass
        """,
        """
            try:
                while True: pass
            finally:
                while True: pass
        """,
    ],
)
def test_a_function_that_does_not_come_back_is_switched_off(body):
    transfer = made(
        f"""
        @transfer(writes="body.Foot1", priority=1)
        def endless():
            {body.strip()}

        @transfer(writes="body.Foot2")
        def good():
            return 0.5
        """,
        timeout_s=0.2,
    )
    message = switched_off(transfer)
    assert message.type == "timeout"
    assert message.text.startswith("transfer function 'endless' did not return within 0.2 s; it is switched off")
    assert message.line >= 4
    assert transfer.inputs["body"]["excitation"][1] == 0.5
    assert transfer.evaluate(0, 6) == []


def test_the_limit_is_set_for_each_function_and_for_nothing_else():
    transfer = made(
        """
        import signal

        @transfer(writes="brain.drive", priority=1)
        def first():
            left = signal.getitimer(signal.ITIMER_REAL)[0]
            signal.setitimer(signal.ITIMER_REAL, 0)
            return [left, 0, 0]

        @transfer(writes="brain.bias")
        def second():
            return signal.getitimer(signal.ITIMER_REAL)[0]
        """,
        timeout_s=50.0,
    )
    assert transfer.evaluate(0, 0) == []
    assert 0 < transfer.inputs["brain"]["drive"][0] <= 50
    assert 0 < transfer.inputs["brain"]["bias"] <= 50
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_the_alarm_signal_is_given_back_at_the_end():
    before = signal.signal(signal.SIGALRM, signal.SIG_IGN)
    try:
        transfer = made("")
        assert signal.getsignal(signal.SIGALRM) is not signal.SIG_IGN
        transfer.close()
        assert signal.getsignal(signal.SIGALRM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_function_that_is_not_active_is_not_called():
    transfer = made(
        """
        @transfer(writes="body.Foot2", active=False)
        def f(): return 1 / 0
        """
    )
    assert transfer.evaluate(0, 0) == []
    assert transfer.switched_off() == ["f"]


# --- what is injected ------------------------------------------------------------------------------------------


def test_time_step_parameters_state_and_log_are_given_to_whoever_names_them():
    class Log:
        def __init__(self):
            self.lines = []

        def info(self, text):
            self.lines.append(text)

    log = Log()
    transfer = made(
        """
        @transfer(reads="brain.M1_L1", writes="body.Foot2")
        def f(voltage, t, step, params, state, log):
            state.calls = getattr(state, "calls", 0) + 1
            log.info(f"{t} {step} {params.gain} {state.calls}")
            return params.gain * state.calls

        @transfer(writes="body.Foot1")
        def g(state, *, step):
            assert not hasattr(state, "calls")
            return 0.0
        """,
        {"gain": 0.1},
        log=log,
    )
    assert transfer.evaluate(0, 0) == []
    assert transfer.evaluate(20_000_000, 1) == []
    assert log.lines == ["0.0 0 0.1 1", "0.02 1 0.1 2"]
    assert transfer.inputs["body"]["excitation"][1] == pytest.approx(0.2)


def test_a_parameter_that_is_not_there_is_named_in_the_message():
    message = switched_off(
        made(
            """
            @transfer(writes="body.Foot2")
            def f(params): return params.gian
            """,
            {"gain": 1},
        )
    )
    assert "has no attribute 'gian'" in message.text


# --- what cannot be declared --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("a, b, c", r"reads 2 values but is defined as f\(a, b, c\): missing a required argument: 'c'"),
        ("a", r"reads 2 values but is defined as f\(a\): too many positional arguments"),
        ("", r"reads 2 values but is defined as f\(\)"),
        ("t, step", r"reads 2 values, which come first, but is defined as f\(t, step\): 't' has another meaning"),
        ("a, b, stpe", r"reads 2 values but is defined as f\(a, b, stpe\).*it may take t, step, params, state, log"),
    ],
)
def test_a_wrong_number_of_arguments_is_refused_with_a_clear_sentence(arguments, words):
    with pytest.raises(BadExperiment, match=f"transfer function 'f' {words}"):
        made(
            f"""
            @transfer(reads=["brain.M1_L1", "body.y"], writes="body.Foot2")
            def f({arguments}): return 0.0
            """
        )


@pytest.mark.parametrize("arguments", ["a, b", "a, b=1.0", "*values", "a, b, extra=3", "a, b, **more"])
def test_arguments_that_can_be_filled_are_taken(arguments):
    transfer = made(
        f"""
        @transfer(reads=["brain.M1_L1", "body.y"], writes="body.Foot2")
        def f({arguments}): return 0.0
        """
    )
    assert transfer.evaluate(0, 0) == []


@pytest.mark.parametrize(
    ("declaration", "words"),
    [
        ('reads="brain.voltag"', r"transfer function 'f' reads 'brain.voltag'.*did you mean 'voltage'"),
        ('writes="body.Fot1"', r"transfer function 'f' writes to 'body.Fot1'.*did you mean 'Foot1'"),
        ('writes="brain.voltage"', "the brain has no such port"),
        ('reads="body.elbow"', "could be"),
    ],
)
def test_a_port_that_is_not_there_is_refused(declaration, words):
    with pytest.raises(PortMismatch, match=words):
        made(f"@transfer({declaration})\ndef f(*values): ...")


# --- the file -------------------------------------------------------------------------------------------------------


def test_a_syntax_error_is_told_with_file_line_and_text():
    with pytest.raises(ScriptError) as caught:
        declared("import math\n\ndef f(:\n    pass\n")
    assert caught.value.text.startswith("/experiment/transfer.py, line 3: invalid syntax")
    assert caught.value.text.endswith("\n    def f(:")
    assert caught.value.detail == {"file": "/experiment/transfer.py", "line": 3, "column": 7}


@pytest.mark.parametrize(
    ("text", "line", "phrase"),
    [
        ("x = 1\ny = x / 0\n", 2, "ZeroDivisionError: division by zero"),
        ("import no_such_module\n", 1, "ModuleNotFoundError: No module named 'no_such_module'"),
        ("@transfer(red='brain.x')\ndef f(): ...\n", 1, "TypeError"),
        ("raise SystemExit(3)\n", 1, "SystemExit: 3"),
        ("def g():\n    raise KeyError('a')\ng()\n", 2, "KeyError: 'a'"),
    ],
)
def test_an_error_while_the_file_is_run_is_told_with_its_line(text, line, phrase):
    with pytest.raises(ScriptError, match=phrase) as caught:
        declared(text)
    assert caught.value.detail == {"file": "/experiment/transfer.py", "line": line}
    assert f"line {line}: " in caught.value.text
    assert caught.value.text.endswith("\n    " + text.splitlines()[line - 1].strip())


def test_bytes_that_are_no_source_are_told():
    with pytest.raises(ScriptError, match="null bytes"):
        declared("x = 1\0")


def test_two_functions_of_one_name_are_refused():
    with pytest.raises(ScriptError, match="two transfer functions are called 'f': rename one of them"):
        declared("@transfer()\ndef f(): ...\n@transfer()\ndef f(): ...\n")


def test_a_file_may_import_the_package_and_modules_beside_it(tmp_path, monkeypatch):
    (tmp_path / "beside_the_transfer_file.py").write_text("SCALE = 0.5\n")
    (found,) = declared(
        """
        from beside_the_transfer_file import SCALE
        from reafference import transfer

        @transfer(writes="body.Foot2")
        def f(): return SCALE
        """,
        folder=tmp_path,
    )
    assert found.function() == 0.5
    assert str(tmp_path) not in __import__("sys").path


def test_a_file_without_functions_declares_nothing():
    assert declared("x = 1\n") == []


def test_an_unbounded_port_takes_any_finite_number():
    ports = {"body": Ports(inputs=(Port(name="force", shape=(), dtype="<f8", unit="N"),))}
    transfer = made("@transfer(writes='body.force')\ndef f(): return -1e300", ports=ports)
    assert transfer.evaluate(0, 0) == []
    assert math.isclose(transfer.inputs["body"]["force"], -1e300)


def test_functions_see_only_resting_values_until_something_comes():
    transfer = made("")
    assert set(transfer.values) == set(PORTS)
    assert all((array == 0).all() for arrays in transfer.values.values() for array in arrays.values())


# --- other ports ------------------------------------------------------------------------------------------------


def test_a_function_whose_port_is_gone_rests_until_it_is_back():
    transfer = made(
        """
        @transfer(reads="brain.rates.rate.A", writes="body.gain")
        def gone(a, state):
            state.calls = getattr(state, "calls", 0) + 1
            return state.calls

        @transfer(reads="brain.M1_L1", writes="body.Foot2")
        def stays(v):
            return 0.5
        """
    )
    transfer.evaluate(0, 0)
    fewer = replace(BRAIN, outputs=tuple(p for p in BRAIN.outputs if p.name != "rates.rate"))
    (message,) = transfer.rewire("brain", PORTS | {"brain": fewer}, 3, 60_000_000)
    assert (message.function, message.step, message.t_ns, message.type, message.line) == (
        "gone",
        3,
        60_000_000,
        "loading",
        2,
    )
    assert message.text.endswith("it is not called until there is such a port")
    assert transfer.switched_off() == ["gone"]
    assert transfer.want("brain") == ("readout.voltage",)
    assert transfer.rewire("brain", PORTS | {"brain": fewer}, 4, 80_000_000) == []
    assert transfer.evaluate(80_000_000, 4) == []
    assert transfer.inputs["body"]["gain"] == 1
    assert transfer.rewire("brain", PORTS, 5, 100_000_000) == []
    transfer.evaluate(100_000_000, 5)
    assert transfer.inputs["body"]["gain"] == 2
    assert transfer.switched_off() == []


def test_inputs_keep_their_values_where_the_new_ports_could_have_them():
    transfer = made("@transfer(writes=['brain.drive', 'brain.bias'])\ndef f(): return [5.0, 5.0, 5.0], 7.0\n")
    transfer.evaluate(0, 0)
    drive, bias = BRAIN.inputs
    new = port("extra", rest=np.array(3.0))
    transfer.rewire("brain", PORTS | {"brain": replace(BRAIN, inputs=(replace(drive, high=4.0), bias, new))}, 1, 1)
    assert list(transfer.inputs["brain"]["drive"]) == [0.0, 0.0, 0.0]
    assert (transfer.inputs["brain"]["bias"], transfer.inputs["brain"]["extra"]) == (7.0, 3.0)
    transfer.rewire("brain", PORTS | {"brain": replace(BRAIN, inputs=(replace(drive, shape=(2,)), bias))}, 1, 1)
    assert list(transfer.inputs["brain"]["drive"]) == [0.0, 0.0]
    assert set(transfer.inputs["brain"]) == {"drive", "bias"}


def test_what_a_changed_simulator_gave_is_at_rest_again():
    transfer = made("@transfer(reads='brain.M1_L1', writes='body.gain')\ndef f(x): return 1\n")
    transfer.values["brain"]["readout.voltage"] = np.array([9.0, 9.0])
    transfer.values["body"]["joints.position"] = np.array([1.0, 2.0])
    transfer.rewire("brain", PORTS, 1, 1)
    assert list(transfer.values["brain"]["readout.voltage"]) == [0.0, 0.0]
    assert list(transfer.values["body"]["joints.position"]) == [1.0, 2.0]


def test_modules_beside_a_file_are_loaded_anew_with_it(tmp_path):
    (tmp_path / "beside.py").write_text("seen = []\n")
    text = "import beside\nbeside.seen.append(1)\n@transfer(writes='body.gain')\ndef f(): return len(beside.seen)\n"
    for _ in range(2):
        (declaration,) = declared(text, folder=tmp_path)
        assert declaration.function() == 1
