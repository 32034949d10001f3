//! Rotation as one run that can be taken up where it stopped.
