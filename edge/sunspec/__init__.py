"""SunSpec: from a device's own chain of models to a profile with absolute addresses.

`definitions` knows the models, `chain` finds which of them a device has and where, `profile` makes of these the
profile that is read from then on, like that of any other meter. Only `device` touches a bus.

Which models are known: those with quantities that a plant measures. Not known, and so skipped by their length:
communication and settings (2 to 19, 120, 121, 123, 125 to 145, 702 to 712, 715), positions (304, 305, 601), cells
and flow batteries (805 to 809), a deprecated mark (801), test and vendor models (63001 and on), and 306, whose
definition gives a current, a voltage and a temperature in W/m2. Of a known model those points are left out whose
unit hakari does not know (VAh, Ah, ohms) or whose definition contradicts itself: WAval of 122 (watts in var),
InDCW and InDCWh of 402 (a power with the scale factor of the energy, an energy without one).
Source: github.com/sunspec/models at 7abdf8982d5364f8ae916deee18aac86c11be36d, json/ (Apache-2.0); facts only.
"""
