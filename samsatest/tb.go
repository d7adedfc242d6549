package samsatest

import (
	"strings"
	"sync"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// TB is what the kit needs of a test: *testing.T, *testing.B and *testing.F have it, and other
// frameworks can. Fatalf does not return. Functions of the kit that take a TB are to be called
// where Fatalf may be: with package testing, in the goroutine of the test.
type TB interface {
	Helper()
	Name() string
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Failed() bool
	Cleanup(func())
}

// tbLogs writes what a broker logs to a test, until the test is over: a TB must not hear of
// anything then.
type tbLogs struct {
	level   zapcore.Level
	encoder func() zapcore.Encoder
	fields  []zapcore.Field
	sink    *tbSink
}

type tbSink struct {
	mu sync.Mutex // guards t, and calls of it
	t  TB         // nil when the test is over
}

// newLogger returns a logger that writes to t, and the sink to be closed before t ends.
func newLogger(t TB) (*zap.Logger, *tbSink) {
	sink := &tbSink{t: t}
	return zap.New(&tbLogs{level: zap.WarnLevel, encoder: newEncoder, sink: sink}), sink
}

// newEncoder is called when something is logged, which in most tests nothing is.
func newEncoder() zapcore.Encoder {
	return zapcore.NewConsoleEncoder(zapcore.EncoderConfig{
		LevelKey: "level", MessageKey: "message", ConsoleSeparator: " ",
		EncodeLevel: zapcore.LowercaseLevelEncoder, EncodeDuration: zapcore.StringDurationEncoder,
	})
}

func (l *tbLogs) Enabled(level zapcore.Level) bool { return level >= l.level }

func (l *tbLogs) With(fields []zapcore.Field) zapcore.Core {
	with := *l
	with.fields = append(with.fields[:len(with.fields):len(with.fields)], fields...)
	return &with
}

func (l *tbLogs) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if l.Enabled(e.Level) {
		return to.AddCore(e, l)
	}
	return to
}

func (l *tbLogs) Write(e zapcore.Entry, fields []zapcore.Field) error {
	line, err := l.encoder().EncodeEntry(e, append(l.fields[:len(l.fields):len(l.fields)], fields...))
	if err != nil {
		return err
	}
	defer line.Free()
	l.sink.log(strings.TrimSuffix(line.String(), "\n"))
	return nil
}

func (l *tbLogs) Sync() error { return nil }

func (s *tbSink) log(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.t != nil {
		s.t.Logf("samsa: %s", line)
	}
}

func (s *tbSink) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.t = nil
}
