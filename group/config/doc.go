// Package config is the configs of groups, Kafka's GROUP resources, and the broker configs that bound them and are their
// defaults. Configs are of a group's name: they can be there before the group is, and stay when it goes. Users import
// the module root.
package config

// Type is the type of a config, as clients are told it.
type Type uint8

// The types of configs.
const (
	Bool Type = iota + 1
	String
	Int
	Long
	List
)
