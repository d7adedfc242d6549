package api

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/samsa-go/samsa"
)

// events reads server-sent events, of which each has a name and one line of data at most maxEvent long.
type events struct {
	r  *bufio.Reader
	id string // the newest: where the stream is
}

type event struct {
	name string
	data []byte
}

// maxEvent bounds an event: a record of 16 MiB is six times as long if all of its bytes are escaped.
const maxEvent = 128 << 20

func newEvents(r io.Reader) *events { return &events{r: bufio.NewReaderSize(r, 64<<10)} }

// next returns the next event. Comments and what it does not know are passed over.
func (s *events) next() (e event, err error) {
	for {
		line, err := s.line()
		if err != nil {
			return event{}, err
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "event":
			e.name = string(value)
		case "data":
			e.data = value
		case "id":
			s.id = string(value)
		case "":
			if len(line) == 0 && (e.name != "" || e.data != nil) {
				return e, nil
			}
		}
	}
}

// line returns the next line without its end. Its bytes are the caller's.
func (s *events) line() ([]byte, error) {
	var line []byte
	for {
		part, err := s.r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			return bytes.TrimSuffix(line, []byte("\n")), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		case len(line) > maxEvent:
			return nil, fmt.Errorf("%w: an event of the API is longer than %d bytes", samsa.ErrTooLarge, maxEvent)
		}
	}
}
