// Package cputime says how long a process has computed: the one measure of a benchmark on a
// machine that others use too. Benchmarks alone use it, on Unix.
//
// It keeps nothing, and trusts the kernel.
package cputime
