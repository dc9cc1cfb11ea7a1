"""The commands of the one who sets an edge up: scan, read, import points, commission, doctor. `edge run` needs none."""
