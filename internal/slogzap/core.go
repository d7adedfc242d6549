// Package slogzap has zap write to log/slog, for programs that do not use zap: package zapslog
// is for the other direction.
package slogzap

import (
	"context"
	"log/slog"
	"maps"
	"slices"

	"go.uber.org/zap/zapcore"
)

// New returns a core that hands everything to h, which decides what is enabled.
//
// Levels keep their meaning: those above error, which slog has no names for, are its error level
// and more. A logger's name is the attribute "logger", namespaces are groups, and
// fields are attributes of their types: an error stays one, durations and times too.
func New(h slog.Handler) zapcore.Core { return &core{h: h} }

type core struct{ h slog.Handler }

// level is slog's of zap's. Both count away from info, slog in steps of four.
func level(l zapcore.Level) slog.Level { return slog.Level(l) * 4 }

func (c *core) Enabled(l zapcore.Level) bool { return c.h.Enabled(context.Background(), level(l)) }

func (c *core) With(fields []zapcore.Field) zapcore.Core {
	h := c.h
	for len(fields) > 0 { // a namespace has what comes behind it
		attrs, rest, group := attributes(fields)
		if len(attrs) > 0 {
			h = h.WithAttrs(attrs)
		}
		if group != "" {
			h = h.WithGroup(group)
		}
		fields = rest
	}
	return &core{h}
}

func (c *core) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}

func (c *core) Write(e zapcore.Entry, fields []zapcore.Field) error {
	r := slog.NewRecord(e.Time, level(e.Level), e.Message, 0)
	if e.Caller.Defined {
		r.PC = e.Caller.PC + 1 // of the call; slog wants where it returns to
	}
	if e.LoggerName != "" {
		r.AddAttrs(slog.String("logger", e.LoggerName))
	}
	r.AddAttrs(nested(fields)...)
	if e.Stack != "" {
		r.AddAttrs(slog.String("stack", e.Stack))
	}
	return c.h.Handle(context.Background(), r)
}

func (c *core) Sync() error { return nil }

// nested returns fields as attributes, with those behind a namespace in a group.
func nested(fields []zapcore.Field) []slog.Attr {
	attrs, rest, group := attributes(fields)
	if group != "" {
		attrs = append(attrs, slog.Attr{Key: group, Value: slog.GroupValue(nested(rest)...)})
	}
	return attrs
}

// attributes returns the fields before the first namespace, its name, and those behind it.
func attributes(fields []zapcore.Field) (attrs []slog.Attr, rest []zapcore.Field, group string) {
	for i, f := range fields {
		if f.Type == zapcore.NamespaceType {
			return attrs, fields[i+1:], f.Key
		}
		attrs = append(attrs, attribute(f)...)
	}
	return attrs, nil, ""
}

// attribute returns a field as an attribute, or as several, or none, for fields that are inlined
// or skipped.
func attribute(f zapcore.Field) []slog.Attr {
	if f.Type == zapcore.ErrorType {
		return []slog.Attr{slog.Any(f.Key, f.Interface)} // not its text
	}
	m := zapcore.NewMapObjectEncoder()
	f.AddTo(m)
	return sorted(m.Fields)
}

func sorted(fields map[string]any) []slog.Attr {
	attrs := make([]slog.Attr, 0, len(fields))
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if object, ok := fields[key].(map[string]any); ok {
			attrs = append(attrs, slog.Attr{Key: key, Value: slog.GroupValue(sorted(object)...)})
			continue
		}
		attrs = append(attrs, slog.Any(key, fields[key]))
	}
	return attrs
}
