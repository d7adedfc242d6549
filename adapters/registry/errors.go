package registry

import (
	"fmt"
	"net/http"
)

// fault is an answer that is an error, as Confluent's registry gives it. The first three digits of a code with five are its HTTP status.
type fault struct {
	Code    int    `json:"error_code"`
	Message string `json:"message"`
}

func (f *fault) Error() string { return f.Message }

func (f *fault) status() int {
	if f.Code >= 10000 {
		return f.Code / 100
	}
	return f.Code
}

// The codes that a client may act on.
const (
	codeSubjectNotFound   = 40401
	codeVersionNotFound   = 40402
	codeSchemaNotFound    = 40403
	codeSubjectDeleted    = 40404
	codeSubjectNotDeleted = 40405
	codeVersionDeleted    = 40406
	codeVersionNotDeleted = 40407
	codeNoSubjectConfig   = 40408
	codeNoSubjectMode     = 40409
	codeIncompatible      = 40901
	codeInvalidSchema     = 42201
	codeInvalidVersion    = 42202
	codeInvalidLevel      = 42203
	codeInvalidMode       = 42204
	codeNotPermitted      = 42205
	codeReferenceExists   = 42206
	codeInvalidSubject    = 42208
	codeTooLarge          = 42209
	codeInvalidRules      = 42210
	codeStore             = 50001
	codeLeader            = 50003
)

func faultf(code int, format string, args ...any) *fault {
	return &fault{code, fmt.Sprintf(format, args...)}
}

func subjectNotFound(subject string) *fault {
	return faultf(codeSubjectNotFound, "Subject '%s' not found.", subject)
}

func schemaNotFound(id int32) *fault {
	return faultf(codeSchemaNotFound, "Schema %d not found", id)
}

func notFound() *fault { return &fault{http.StatusNotFound, "HTTP 404 Not Found"} }
