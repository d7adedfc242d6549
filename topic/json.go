package topic

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/samsa-go/samsa/log"
)

// configJSON is a Config as JSON.
type configJSON struct {
	Partitions int               `json:"partitions,omitempty"`
	Replicas   int               `json:"replicas,omitempty"`
	Configs    map[string]string `json:"configs,omitempty"`
}

// MarshalJSON returns what is set, as Config says.
func (c Config) MarshalJSON() ([]byte, error) {
	return json.Marshal(configJSON{c.Partitions, c.Replicas, c.Given()})
}

// Given returns the configs that are set, under their Kafka names.
func (c Config) Given() map[string]string {
	set := c.inert.values()
	for _, s := range settings {
		if v := s.get(&c); v != s.get(&Config{}) {
			set[s.name] = v
		}
	}
	return set
}

// UnmarshalJSON takes what MarshalJSON returns. ErrInvalidConfig names everything that is wrong.
func (c *Config) UnmarshalJSON(data []byte) error {
	var j configJSON
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&j); err != nil {
		return fmt.Errorf("%w: %w", log.ErrInvalidConfig, err)
	}
	read := Config{Partitions: j.Partitions, Replicas: j.Replicas}
	if err := read.SetConfigs(j.Configs); err != nil {
		return err
	}
	*c = read
	return nil
}
