//! Lets the processes of a fleet tell each other which circuits have opened.
