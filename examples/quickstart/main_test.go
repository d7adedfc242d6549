package main

import "context"

func Example() {
	if err := run(context.Background()); err != nil {
		panic(err)
	}
	// Output:
	// family/0 offset 0: Hello, Gregor
	// family/0 offset 1: Hello, Grete
	// family/0 offset 2: Hello, Herr Samsa
}
