//! Values of files, sealed again in place.
