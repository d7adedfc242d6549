package registry

import (
	"encoding/json"
	"net/http"
)

// versionAnswer is a version as it is told to who asks for it.
type versionAnswer struct {
	Subject   string          `json:"subject"`
	Version   int32           `json:"version"`
	ID        int32           `json:"id"`
	GUID      string          `json:"guid"`
	Type      string          `json:"schemaType"`
	Refs      []reference     `json:"references,omitempty"`
	Metadata  json.RawMessage `json:"metadata,omitempty"`
	RuleSet   json.RawMessage `json:"ruleSet,omitempty"`
	Text      string          `json:"schema"`
	IsDeleted bool            `json:"deleted"`
}

func (v *version) told() versionAnswer {
	return versionAnswer{v.Subject, v.Version, v.ID, v.guid, v.Type, v.Refs, v.Metadata, v.RuleSet, v.Text, v.IsDeleted}
}

// alone is a schema as it is told to who asks for it by its id or GUID. Subject and version are of the first that has it.
type alone struct {
	Subject  string          `json:"subject"`
	Version  int32           `json:"version"`
	GUID     string          `json:"guid"`
	Type     string          `json:"schemaType"`
	Text     string          `json:"schema"`
	Refs     []reference     `json:"references,omitempty"`
	Metadata json.RawMessage `json:"metadata,omitempty"`
	RuleSet  json.RawMessage `json:"ruleSet,omitempty"`
	MaxID    *int32          `json:"maxId,omitempty"`
}

func (v *version) alone() *alone {
	return &alone{Subject: v.Subject, Version: v.Version, GUID: v.guid, Type: v.Type, Text: v.Text, Refs: v.Refs, Metadata: v.Metadata, RuleSet: v.RuleSet}
}

// byGUID answers by the versions that a schema has, which is known by its GUID.
func (r *Registry) byGUID(q *http.Request, answer func(v *version) any) ([]byte, error) {
	return r.read(func(s *state) (any, error) {
		all := s.byGUID[q.PathValue("guid")]
		if len(all) == 0 {
			return nil, faultf(codeSchemaNotFound, "Schema %s not found", q.PathValue("guid"))
		}
		return answer(all[0]), nil
	})
}

func (r *Registry) schemaByGUID(q *http.Request) ([]byte, error) {
	return r.byGUID(q, func(v *version) any { return v.alone() })
}

// contextID is an id in a context.
type contextID struct {
	Context string `json:"context"`
	ID      int32  `json:"id"`
}

func (r *Registry) idsByGUID(q *http.Request) ([]byte, error) {
	return r.byGUID(q, func(v *version) any { return []contextID{{".", v.ID}} })
}

// withMetadata answers by the last version whose metadata have the properties that the parameters key and value say.
func (r *Registry) withMetadata(q *http.Request) ([]byte, error) {
	keys, values := q.URL.Query()["key"], q.URL.Query()["value"]
	return r.read(func(s *state) (any, error) {
		return s.withMetadata(q.PathValue("subject"), whichOf(q), keys, values)
	})
}

// clusterID tells which registry this is: of which broker, and which of its registries.
func (r *Registry) clusterID(*http.Request) ([]byte, error) {
	type clusters struct {
		Kafka    string `json:"kafka-cluster"`
		Registry string `json:"schema-registry-cluster"`
	}
	type scope struct {
		Path     []string `json:"path"`
		Clusters clusters `json:"clusters"`
	}
	return encode(struct {
		ID    string `json:"id"`
		Scope scope  `json:"scope"`
	}{Scope: scope{[]string{}, clusters{r.b.ClusterID(), r.opts.Group}}}), nil
}
