"""Small published experiments for tests, as texts by path."""

EXC = """\
<?xml version="1.0" encoding="utf-8"?>
<ExD xmlns="http://schemas.humanbrainproject.eu/SP10/2014/ExDConfig"
     xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
    <name>A small one</name>
    <description>Something
        to look at.</description>
    <timeout time="simulation">1.5</timeout>
    <environmentModel src="virtual_room/virtual_room.sdf">
        <robotPose robotId="husky" x="1.0" y="0.0" z="0.5" roll="0.0" pitch="-0.0" yaw="0.5"/>
    </environmentModel>
    <bibiConf src="small.bibi"/>
</ExD>
"""
BIBI = """\
<?xml version="1.0" encoding="utf-8"?>
<bibi xmlns="http://schemas.humanbrainproject.eu/SP10/2014/BIBI" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
    <brainModel>
        <file>brain.py</file>
        <populations population="sensors" xsi:type="Range" from="0" to="5"/>
        <populations population="odd" xsi:type="Range" from="1" to="8" step="2"/>
        <populations population="pair" xsi:type="List"><element>1</element><element>4</element></populations>
    </brainModel>
    <bodyModel robotId="husky">husky_model/model.sdf</bodyModel>
    <transferFunction xsi:type="PythonTransferFunction" src="drive.py"/>
    <transferFunction xsi:type="PythonTransferFunction" src="look.py" active="false" priority="3"/>
</bibi>
"""
BRAIN = """\
import nest
circuit = nest.Create("iaf_cond_alpha", 8)
"""
DRIVE = "@nrp.Neuron2Robot()\ndef drive(t):\n    pass\n"
LOOK = "@nrp.Robot2Neuron()\ndef look(t):\n    pass\n"
SMALL = {"small.exc": EXC, "small.bibi": BIBI, "brain.py": BRAIN, "drive.py": DRIVE, "look.py": LOOK}


def written(folder, files=None, **changes):
    """The folder with these files in it; `changes` are (old, new) by the stem of the suffix: exc, bibi, brain."""
    kinds = {"exc": "small.exc", "bibi": "small.bibi", "brain": "brain.py"}
    texts = dict(SMALL if files is None else files)
    for kind, pairs in changes.items():
        for old, new in pairs if isinstance(pairs, list) else [pairs]:
            assert old in texts[kinds[kind]], old
            texts[kinds[kind]] = texts[kinds[kind]].replace(old, new)
    for path, text in texts.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder
