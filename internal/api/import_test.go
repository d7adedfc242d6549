package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"testing"
	"testing/iotest"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

// Chosen topics are exported, and imported under another name, with the offsets of groups.
func TestExportAndImport(t *testing.T) {
	everyClient(t, Options{Write: true}, func(t *testing.T, b *samsa.Broker, c *Client) {
		ctx := t.Context()
		for _, name := range []string{"t", "u"} {
			must(t, c.CreateTopic(ctx, NewTopic{Name: name}))
			samsatest.Produce(t, b, name, "a=1", "b=2")
		}
		at := samsa.TopicPartition{Topic: "t"}
		must(t, b.Groups().AlterOffsets(ctx, "g", samsa.To(samsa.AtOffset(1)), at))
		var one bytes.Buffer
		must(t, c.Snapshot(ctx, SnapshotRequest{Topics: []string{"t"}}, &one))
		wantError(t, c.Snapshot(ctx, SnapshotRequest{Topics: []string{"v"}}, io.Discard), samsa.ErrUnknownTopic)

		read := func() io.Reader { return bytes.NewReader(one.Bytes()) }
		wantError(t, c.Import(ctx, ImportRequest{}, read()), samsa.ErrTopicExists)
		wantError(t, c.Import(ctx, ImportRequest{Topics: []string{"w"}}, read()), samsa.ErrUnknownTopic)
		must(t, c.Import(ctx, ImportRequest{Topics: []string{"t"}, As: map[string]string{"t": "old.t"}, Offsets: true}, read()))
		samsatest.Equal(t, b, "old.t", []string{"a=1", "b=2"})
		if all, err := b.Groups().Committed(ctx, "g"); err != nil || all[samsa.TopicPartition{Topic: "old.t"}].Offset != 1 {
			t.Error(all, err)
		}
	})
}

// What is damaged, cut off, or of a reader that fails is told, however long it is, and the broker goes on.
func TestImportOfWhatIsNotWhole(t *testing.T) {
	everyClient(t, Options{Write: true}, func(t *testing.T, b *samsa.Broker, c *Client) {
		ctx := t.Context()
		must(t, c.CreateTopic(ctx, NewTopic{Name: "t"}))
		value := make([]byte, 1<<20-100)
		_, _ = rand.NewChaCha8([32]byte{}).Read(value) // does not fail
		_, err := b.Produce(ctx, samsa.Record{Topic: "t", Value: value})
		must(t, err)
		var whole bytes.Buffer
		must(t, c.Snapshot(ctx, SnapshotRequest{}, &whole))
		as := ImportRequest{As: map[string]string{"t": "u"}}
		wantError(t, c.Import(ctx, as, bytes.NewReader(nil)), samsa.ErrInvalidSnapshot)
		wantError(t, c.Import(ctx, as, bytes.NewReader(whole.Bytes()[:whole.Len()/2])), samsa.ErrInvalidSnapshot)
		wantError(t, c.Import(ctx, as, io.LimitReader(zeros{}, 64<<20)), samsa.ErrInvalidSnapshot)
		failed := errors.New("the tape is torn")
		wantError(t, c.Import(ctx, as, io.MultiReader(bytes.NewReader(whole.Bytes()[:whole.Len()/2]), iotest.ErrReader(failed))), failed)
		must(t, c.Import(ctx, as, &whole))
		if r, err := c.Record(ctx, "u", 0, 0); err != nil || !bytes.Equal(r.Value, value) {
			t.Errorf("%d bytes have come, error %v", len(r.Value), err)
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestImportRefused(t *testing.T) {
	b := samsatest.New(t)
	raw := map[string]string{"Content-Type": "application/octet-stream"}
	for i, a := range []asked{
		{target: "?as=t", header: raw, status: 400, err: "ErrInvalid"},
		{target: "?as=t=u&as=t=v", header: raw, status: 400, err: "ErrInvalid"},
		{target: "?offsets=1", header: raw, status: 400, err: "ErrInvalid"},
		{target: "?name=t", header: raw, status: 400, err: "ErrInvalid"},
		{body: "{}", status: 415, err: "ErrUnsupported"},
		{header: map[string]string{"Content-Type": "application/octet-stream", RequestHeader: ""}, status: 403, err: "ErrInvalid"},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			a.method, a.target = http.MethodPost, prefix+"import"+a.target
			a.check(t, Handler(b, Options{Write: true}))
		})
	}
	wantError(t, Direct(Handler(b, Options{})).Import(t.Context(), ImportRequest{}, zeros{}), samsa.ErrReadOnly)
}
