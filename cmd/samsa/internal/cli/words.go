package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/samsa-go/samsa/internal/api"
)

// count returns a number as it is: tables are read by scripts too, in spite of --json.
func count(n int64) string { return strconv.FormatInt(n, 10) }

// plural returns n with a noun.
func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if strings.HasSuffix(noun, "ch") {
		noun += "e"
	}
	return count(n) + " " + noun + "s"
}

// size returns a number of bytes in words; "-" when it is not known.
func size(bytes int64) string { return sizeOr(bytes, "-") }

func sizeOr(bytes int64, unknown string) string {
	if bytes < 0 {
		return unknown
	}
	if bytes < 1024 {
		return fmt.Sprintf("%d B", bytes)
	}
	f := float64(bytes)
	for _, unit := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if f /= 1024; f < 1023.95 {
			return fmt.Sprintf("%.1f %s", f, unit)
		}
	}
	return fmt.Sprintf("%.1f PiB", f/1024)
}

// moment returns a time in the time zone of this machine; "" for none.
func moment(t api.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// message returns the text of an error; "" for none.
func message(err *api.Error) string {
	if err == nil {
		return ""
	}
	return err.Message
}

// since returns how long ago t is, in seconds.
func since(now time.Time, t api.Time) string {
	if t.IsZero() {
		return ""
	}
	return now.Sub(t.Time).Round(time.Second).String()
}
