package samsatest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa/samsatest"
)

// weekOfRetention takes some milliseconds.
func weekOfRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := samsatest.New(t, samsatest.Topic("orders", 1)) // keeps records for 168 h
		samsatest.Produce(t, b, "orders", "7=early")
		time.Sleep(100 * time.Hour)
		samsatest.Produce(t, b, "orders", "8=late")
		time.Sleep(69 * time.Hour)
		samsatest.Equal(t, b, "orders", []string{"8=late"})
		time.Sleep(100 * time.Hour)
		samsatest.Equal(t, b, "orders", nil)
	})
}

// Time in a bubble of testing/synctest passes when nothing else is left to do. The function
// above is such a test.
func Example_time() {}
