package registry_test

import (
	"strings"
	"testing"

	"github.com/samsa-go/samsa/samsatest"
)

// The answers are those of Confluent's registry, code and text: see Errors.java and the resources of its sources. The requests follow each other.
func TestAnswers(t *testing.T) {
	w, _ := open(t, samsatest.New(t))
	const (
		long   = `{"schema":"\"long\""}`
		either = `{"schema":"[\"long\",\"string\"]"}`
	)
	for _, c := range []struct{ method, path, body, want string }{
		{"GET", "/", "", `200 {}`},
		{"GET", "/subjects", "", `200 []`},
		{"GET", "/schemas", "", `200 []`},
		{"GET", "/contexts", "", `200 ["."]`},
		{"GET", "/config", "", `200 {"compatibilityLevel":"BACKWARD"}`},
		{"GET", "/mode", "", `200 {"mode":"READWRITE"}`},
		{"GET", "/schemas/types", "", `200 ["AVRO","JSON","PROTOBUF"]`},
		{"GET", "/subjects/a/versions", "", `404 {"error_code":40401,"message":"Subject 'a' not found."}`},
		{"GET", "/subjects/a/versions/1", "", `404 {"error_code":40401,"message":"Subject 'a' not found."}`},
		{"GET", "/subjects/a/versions/latest", "", `404 {"error_code":40401,"message":"Subject 'a' not found."}`},
		{"DELETE", "/subjects/a", "", `404 {"error_code":40401,"message":"Subject 'a' not found."}`},
		{"POST", "/subjects/a", long, `404 {"error_code":40401,"message":"Subject 'a' not found."}`},
		{"GET", "/schemas/ids/1", "", `404 {"error_code":40403,"message":"Schema 1 not found"}`},
		{"GET", "/config/a", "", `404 {"error_code":40408,"message":"Subject 'a' does not have subject-level compatibility configured"}`},
		{"GET", "/config/a?defaultToGlobal=true", "", `200 {"compatibilityLevel":"BACKWARD"}`},
		{"GET", "/mode/a", "", `404 {"error_code":40409,"message":"Subject 'a' does not have subject-level mode configured"}`},
		{"GET", "/mode/a?defaultToGlobal=true", "", `200 {"mode":"READWRITE"}`},
		{"DELETE", "/config/a", "", `404 {"error_code":40401,"message":"Subject 'a' not found."}`},
		{"DELETE", "/mode/a", "", `404 {"error_code":40401,"message":"Subject 'a' not found."}`},
		{"POST", "/compatibility/subjects/a/versions/latest", long, `200 {"is_compatible":true}`},
		{"POST", "/compatibility/subjects/a/versions/1", long, `404 {"error_code":40402,"message":"Version 1 not found."}`},
		{"POST", "/compatibility/subjects/a/versions?verbose=true", `{"schema":"nothing"}`, `200 {"is_compatible":false,"messages":["Invalid schema of type AVRO`},
		{"POST", "/compatibility/subjects/a/versions", `{"schema":"nothing"}`, `422 {"error_code":42201,`},

		{"POST", "/subjects/a/versions?normalize=true", long, `200 {"subject":"a","version":1,"id":1,`},
		{"POST", "/subjects/a/versions", either, `200 {"subject":"a","version":2,"id":2,`},
		{"POST", "/subjects/a", long, `200 {"subject":"a","version":1,"id":1,"guid":"e1dd9a1e-f98b-451b-5369-0370b393966b","schemaType":"AVRO","schema":"\"long\"",`},
		{"POST", "/subjects/a", `{"schema":"\"bytes\""}`, `404 {"error_code":40403,"message":"Schema not found"}`},
		{"POST", "/subjects/a/versions", `{"schema":"\"bytes\""}`, `409 {"error_code":40901,"message":"Schema being registered is incompatible with an earlier schema for subject \"a\", details: [`},
		{"GET", "/subjects/a/versions", "", `200 [1,2]`},
		{"GET", "/subjects/a/versions/1/schema", "", `200 "long"`},
		{"GET", "/subjects/a/versions/9", "", `404 {"error_code":40402,"message":"Version 9 not found."}`},
		{"GET", "/subjects/a/versions/x", "", `422 {"error_code":42202,"message":"The specified version 'x' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\""}`},
		{"GET", "/schemas/ids/1/schema", "", `200 "long"`},
		{"GET", "/schemas/ids/1/subjects", "", `200 ["a"]`},
		{"GET", "/schemas/ids/1/versions", "", `200 [{"subject":"a","version":1}]`},
		{"GET", "/subjects/a/versions/1/referencedby", "", `200 []`},
		{"GET", "/subjects/:.:a/versions", "", `200 [1,2]`},
		{"GET", "/schemas/ids/1?fetchMaxId=true", "", `200 {"subject":"a","version":1,"guid":"e1dd9a1e-f98b-451b-5369-0370b393966b","schemaType":"AVRO","schema":"\"long\"","maxId":2}`},
		{"GET", "/schemas/guids/e1dd9a1e-f98b-451b-5369-0370b393966b", "", `200 {"subject":"a","version":1,"guid":"e1dd9a1e-f98b-451b-5369-0370b393966b","schemaType":"AVRO","schema":"\"long\""}`},
		{"GET", "/schemas/guids/e1dd9a1e-f98b-451b-5369-0370b393966b/ids", "", `200 [{"context":".","id":1}]`},
		{"GET", "/schemas/guids/x", "", `404 {"error_code":40403,"message":"Schema x not found"}`},
		{"GET", "/schemas?subjectPrefix=a&offset=1&limit=1", "", `200 [{"subject":"a","version":2,`},
		{"GET", "/v1/metadata/version", "", `200 {"version":"samsa"}`},
		{"GET", "/v1/metadata/id", "", `200 {"id":"","scope":{"path":[],"clusters":{"kafka-cluster":"`},

		{"PUT", "/config/a", `{"compatibility":"full"}`, `200 {"compatibility":"FULL"}`},
		{"PUT", "/config", `{"compatibility":"x"}`, `422 {"error_code":42203,"message":"Invalid compatibility level. Valid values are none, backward, forward, full, backward_transitive, forward_transitive, and full_transitive"}`},
		{"DELETE", "/config/a", "", `200 {"compatibilityLevel":"FULL"}`},
		{"PUT", "/mode", `{"mode":"x"}`, `422 {"error_code":42204,"message":"Invalid mode. Valid values are READWRITE, READONLY, `},
		{"PUT", "/mode/a", `{"mode":"READONLY"}`, `200 {"mode":"READONLY"}`},
		{"POST", "/subjects/a/versions", `{"schema":"\"bytes\""}`, `422 {"error_code":42205,"message":"Subject a in context . is in read-only mode"}`},
		{"DELETE", "/subjects/a/versions/1", "", `422 {"error_code":42205,"message":"Subject a in context . is in read-only mode"}`},
		{"DELETE", "/mode/a", "", `200 {"mode":"READONLY"}`},
		{"PUT", "/mode/b", `{"mode":"IMPORT"}`, `200 {"mode":"IMPORT"}`},
		{"POST", "/subjects/b/versions", `{"schema":"\"bytes\"","id":7,"version":4}`, `200 {"subject":"b","version":4,"id":7,`},
		{"POST", "/subjects/b/versions", `{"schema":"\"int\"","id":7,"version":5}`, `422 {"error_code":42205,"message":"Overwrite new schema with id 7 in context . is not permitted."}`},
		{"POST", "/subjects/b/versions", `{"schema":"\"int\""}`, `422 {"error_code":42205,"message":"Subject b in context . is not in read-write mode"}`},
		{"POST", "/subjects/a/versions", `{"schema":"\"int\"","id":9}`, `422 {"error_code":42205,"message":"Subject a in context . is not in import mode"}`},
		{"PUT", "/mode/a", `{"mode":"IMPORT"}`, `422 {"error_code":42205,"message":"Cannot import since found existing subjects"}`},
		{"PUT", "/mode/a?force=true", `{"mode":"IMPORT"}`, `200 {"mode":"IMPORT"}`},
		{"DELETE", "/mode/a", "", `200 {"mode":"IMPORT"}`},

		{"DELETE", "/subjects/a/versions/1?permanent=true", "", `404 {"error_code":40407,"message":"Subject 'a' Version 1 was not deleted first before being permanently deleted"}`},
		{"DELETE", "/subjects/a/versions/1", "", `200 1`},
		{"DELETE", "/subjects/a/versions/1", "", `404 {"error_code":40406,"message":"Subject 'a' Version 1 was soft deleted.Set permanent=true to delete permanently"}`},
		{"GET", "/subjects/a/versions?deleted=true", "", `200 [1,2]`},
		{"GET", "/subjects/a/versions/1", "", `404 {"error_code":40402,"message":"Version 1 not found."}`},
		{"GET", "/schemas/ids/1/subjects", "", `200 []`},
		{"GET", "/schemas/ids/1/subjects?deleted=true", "", `200 ["a"]`},
		{"DELETE", "/subjects/a?permanent=true", "", `404 {"error_code":40405,"message":"Subject 'a' was not deleted first before being permanently deleted"}`},
		{"DELETE", "/subjects/a", "", `200 [2]`},
		{"DELETE", "/subjects/a", "", `404 {"error_code":40404,"message":"Subject 'a' was soft deleted.Set permanent=true to delete permanently"}`},
		{"GET", "/subjects?deletedOnly=true", "", `200 ["a"]`},
		{"DELETE", "/subjects/a?permanent=true", "", `200 [1,2]`},
		{"GET", "/subjects?deleted=true", "", `200 ["b"]`},

		{"GET", "/nothing", "", `404 {"error_code":404,"message":"HTTP 404 Not Found"}`},
		{"GET", "/schemas/ids/x", "", `404 {"error_code":404,"message":"HTTP 404 Not Found"}`},
		{"POST", "/subjects", long, `405 {"error_code":405,"message":"HTTP 405 Method Not Allowed"}`},
		{"PUT", "/subjects/a/versions", long, `405 {"error_code":405,"message":"HTTP 405 Method Not Allowed"}`},
		{"PATCH", "/config", "", `405 {"error_code":405,"message":"HTTP 405 Method Not Allowed"}`},
		{"POST", "/subjects/__EMPTY/versions", long, `422 {"error_code":42208,"message":"The specified subject '__EMPTY' is not a valid."}`},
	} {
		if is := w.say(c.method, c.path, c.body); !strings.HasPrefix(is, c.want) {
			t.Errorf("%s %s %s:\n%s\nwant\n%s", c.method, c.path, c.body, is, c.want)
		}
	}
}
