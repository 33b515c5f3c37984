//! The tests of the generators and checks.

// A second reader of the format, written from its description alone.
#[cfg(test)]
mod naive_reader;

// What the writer says it wrote is what the reader finds.
#[cfg(test)]
mod writer;

// The ready-made dumps hold what their documentation promises.
#[cfg(test)]
mod samples;

// The generator's summary is what the reader counts.
#[cfg(test)]
mod generator;

// Tables that fit a struct pass, others name the difference.
#[cfg(test)]
mod layout;

// The recorded samples are there and are what their truth files say.
#[cfg(test)]
mod testdata;

// The commit protocol survives every crash, and no rule of it can be left out.
#[cfg(test)]
mod protocol;
