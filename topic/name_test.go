package topic

import (
	"errors"
	"strings"
	"testing"

	"github.com/samsa-go/samsa/log"
)

func TestCheckName(t *testing.T) {
	for _, name := range []string{
		"a", "Z", "0", "_", "-", "...", ".a", "..a", "a.b_c-D9", "__consumer_offsets", strings.Repeat("a", 249),
	} {
		if err := CheckName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{
		"", ".", "..", strings.Repeat("a", 250), "a b", "a/b", "a\\b", "a,b", "a:b", "a\x00", "a\n", "ä", "日本", "a\xff",
		"a*", "a\"", "a'", "a+", "a=", strings.Repeat("ä", 200),
	} {
		if err := CheckName(name); !errors.Is(err, log.ErrInvalidTopic) {
			t.Errorf("%q: got error %v", name, err)
		}
	}
}

func TestCollidingNames(t *testing.T) {
	inMemory(t, func(t *testing.T, h *house) {
		h.create("a.b_c", 1)
		for _, name := range []string{"a_b_c", "a.b.c", "a_b.c"} {
			if _, err := h.Create(ctx, name, Config{}); !errors.Is(err, log.ErrInvalidTopic) || !strings.Contains(err.Error(), "a.b_c") {
				t.Errorf("%s: got error %v", name, err)
			}
		}
		if _, err := h.Create(ctx, "a.b_c", Config{}); !errors.Is(err, log.ErrTopicExists) {
			t.Errorf("the same name: got error %v", err)
		}
		h.create("a-b-c", 1)
		if err := h.Delete(ctx, "a.b_c"); err != nil {
			t.Fatal(err)
		}
		h.create("a_b.c", 1)
	})
}
