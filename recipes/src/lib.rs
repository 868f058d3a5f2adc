//! Tested answers to questions that users of `tower-breaker` ask.
