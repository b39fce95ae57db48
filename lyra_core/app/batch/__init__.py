# SPDX-License-Identifier: Apache-2.0
"""`lyra batch`: many scenes from one list, with a gallery and a catalogue.

| file | task |
| --- | --- |
| `wishes.py` | the list: lines to wishes, one per scene, and the key that tells the same wish |
| `store.py` | the folder: which scenes are there, which failed and why |
| `maker.py` | one scene, in whichever process |
| `processes.py`, `on_ray.py` | who makes them: processes of this machine, actors of a Ray cluster |
| `run.py` | all of it, resumable |
| `catalog.py`, `gallery.py` | what is written about the scenes at the end |
| `command.py` | the verb |
"""
