package main

import "context"

func Example() {
	if err := run(context.Background()); err != nil {
		panic(err)
	}
	// Unordered output:
	// prague.measured: day 0, warm
	// prague.measured: day 0, cold
	// prague.measured: day 1, warm
	// prague.measured: day 1, cold
	// prague.measured: day 2, warm
	// prague.measured: day 2, cold
	// vienna.measured: day 0, warm
	// vienna.measured: day 0, cold
	// vienna.measured: day 1, warm
	// vienna.measured: day 1, cold
	// vienna.measured: day 2, warm
	// vienna.measured: day 2, cold
}
