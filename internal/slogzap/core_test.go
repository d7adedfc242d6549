package slogzap_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/samsa-go/samsa/internal/slogzap"
)

// text has zap log through slog's text handler, and returns the lines.
func text(opts *slog.HandlerOptions, write func(*zap.Logger), zapOpts ...zap.Option) string {
	var out bytes.Buffer
	write(zap.New(slogzap.New(slog.NewTextHandler(&out, opts)), zapOpts...))
	return out.String()
}

// noTime leaves the time out.
func noTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

func TestLevels(t *testing.T) {
	got := text(&slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: noTime}, func(l *zap.Logger) {
		l.Debug("a")
		l.Info("b")
		l.Warn("c")
		l.Error("d")
		l.DPanic("e")
	})
	want := "level=DEBUG msg=a\nlevel=INFO msg=b\nlevel=WARN msg=c\nlevel=ERROR msg=d\nlevel=ERROR+4 msg=e\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	got = text(&slog.HandlerOptions{Level: slog.LevelWarn, ReplaceAttr: noTime}, func(l *zap.Logger) {
		if l.Core().Enabled(zap.InfoLevel) || !l.Core().Enabled(zap.WarnLevel) {
			t.Error("the handler does not decide what is enabled")
		}
		l.Info("b")
		l.Warn("c")
	})
	if got != "level=WARN msg=c\n" {
		t.Errorf("got %s", got)
	}
}

func TestNamesAndNamespaces(t *testing.T) {
	got := text(&slog.HandlerOptions{ReplaceAttr: noTime}, func(l *zap.Logger) {
		l = l.Named("samsa").With(zap.Int("a", 1), zap.Namespace("in"), zap.Int("b", 2))
		l.Info("x", zap.Int("c", 3), zap.Namespace("deep"), zap.Int("d", 4), zap.Skip())
	})
	if want := "level=INFO msg=x a=1 in.b=2 in.logger=samsa in.c=3 in.deep.d=4\n"; got != want {
		t.Errorf("got  %swant %s", got, want)
	}
}

// keeper is a handler that keeps the records.
type keeper struct{ records []slog.Record }

func (k *keeper) Enabled(context.Context, slog.Level) bool { return true }
func (k *keeper) Handle(_ context.Context, r slog.Record) error {
	k.records = append(k.records, r)
	return nil
}
func (k *keeper) WithAttrs([]slog.Attr) slog.Handler { return k }
func (k *keeper) WithGroup(string) slog.Handler      { return k }

type object struct{}

func (object) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddInt("n", 1)
	return enc.AddObject("in", zapcore.ObjectMarshalerFunc(func(enc zapcore.ObjectEncoder) error {
		enc.AddString("s", "x")
		return nil
	}))
}

func TestTypesOfFields(t *testing.T) {
	errBroken := errors.New("broken")
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	var k keeper
	zap.New(slogzap.New(&k)).Info("x",
		zap.Int("int", -7), zap.Uint64("uint", 1<<63), zap.Float64("float", 0.5), zap.Bool("bool", true), zap.String("string", "s"),
		zap.Duration("duration", time.Second), zap.Time("time", at), zap.Error(errBroken), zap.Stringer("stringer", net.IPv4(1, 2, 3, 4)),
		zap.Strings("strings", []string{"a", "b"}), zap.Object("object", object{}), zap.Inline(object{}), zap.Binary("binary", []byte{1}))
	var got []string
	k.records[0].Attrs(func(a slog.Attr) bool {
		got = append(got, a.String()+" "+a.Value.Kind().String())
		if err, ok := a.Value.Any().(error); a.Key == "error" && (!ok || !errors.Is(err, errBroken)) {
			t.Errorf("the error is %v", a.Value)
		}
		return true
	})
	want := []string{
		"int=-7 Int64", "uint=9223372036854775808 Uint64", "float=0.5 Float64", "bool=true Bool", "string=s String",
		"duration=1s Duration", "time=2026-01-02 03:04:05.000000006 +0000 UTC Time", "error=broken Any", "stringer=1.2.3.4 String",
		"strings=[a b] Any", "object=[in=[s=x] n=1] Group", "in=[s=x] Group", "n=1 Int64", "binary=[1] Any",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// clock stands.
type clock time.Time

func (c clock) Now() time.Time                         { return time.Time(c) }
func (c clock) NewTicker(d time.Duration) *time.Ticker { return time.NewTicker(d) }

func TestTimeAndCaller(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var k keeper
	l := zap.New(slogzap.New(&k), zap.WithClock(clock(at)), zap.AddCaller())
	_, _, line, _ := runtime.Caller(0)
	l.Info("x")
	r := k.records[0]
	if !r.Time.Equal(at) {
		t.Errorf("at %s", r.Time)
	}
	if s := r.Source(); s == nil || !strings.HasSuffix(s.File, "core_test.go") || s.Line != line+1 {
		t.Errorf("from %+v", s)
	}
	if zap.New(slogzap.New(&k)).Info("y"); k.records[1].PC != 0 {
		t.Errorf("from %v", k.records[1].PC)
	}
}
