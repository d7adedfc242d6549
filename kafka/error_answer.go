package kafka

import (
	"reflect"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/log"
)

// failed answers a request, of any kind, as a broker would that fails at all of it: the answer has the
// code, and an entry for each topic, partition, group or member of the request, which has it too. That of
// Metadata tells the brokers all the same: nobody could go on without.
func (c *call) failed(code int16) kmsg.Response {
	if req, ok := c.req.(*kmsg.MetadataRequest); ok {
		c.refused = make(map[log.TopicPartition]error)
		for _, tp := range c.work().Partitions {
			c.refused[tp] = Code(code)
		}
		return c.metadata(req)
	}
	if req, ok := c.req.(*kmsg.ProduceRequest); ok && req.Acks == 0 {
		return nil
	}
	if req, ok := c.req.(*kmsg.AlterUserSCRAMCredentialsRequest); ok {
		return failedUsers(req, code)
	}
	resp := c.req.ResponseKind()
	fail(reflect.ValueOf(resp).Elem(), reflect.ValueOf(c.req).Elem(), code)
	return resp
}

// listed is the fields of requests that answers have under another name.
var listed = map[string][]string{"Coordinators": {"CoordinatorKeys"}, "TransactionStates": {"TransactionalIDs"}, "Topics": {"TopicNames"}, "Groups": {"GroupIDs"}, "Results": {"Resources", "Creations", "Filters"}}

// fail fills in a part of an answer from the part of the request that it is about. Their fields have
// the same names throughout the protocol.
func fail(out, in reflect.Value, code int16) {
	if d, ok := out.Addr().Interface().(interface{ Default() }); ok {
		d.Default()
	}
	for i := range out.NumField() {
		field, name := out.Field(i), out.Type().Field(i).Name
		from := in.FieldByName(name)
		for _, other := range listed[name] {
			if !from.IsValid() || from.Kind() == reflect.Slice && from.Len() == 0 {
				from = in.FieldByName(other)
			}
		}
		switch {
		case name == "ErrorCode":
			field.SetInt(int64(code))
		case !from.IsValid() || name == "Version":
		case field.Kind() == reflect.Slice && field.Type().Elem().Kind() == reflect.Struct && from.Kind() == reflect.Slice:
			field.Set(reflect.MakeSlice(field.Type(), from.Len(), from.Len()))
			for j := range from.Len() {
				failElement(field.Index(j), from.Index(j), code)
			}
		default:
			set(field, from)
		}
	}
}

// failElement is fail for an element of a list, which may be no more than a name or a number.
func failElement(out, in reflect.Value, code int16) {
	if in.Kind() == reflect.Struct {
		fail(out, in, code)
		return
	}
	fail(out, reflect.ValueOf(struct{}{}), code)
	for i := range out.NumField() {
		if name := out.Type().Field(i).Name; name != "ErrorCode" && name != "ErrorMessage" && set(out.Field(i), in) {
			return
		}
	}
}

// set sets a field, also from a pointer to what it has and the other way round.
func set(to, from reflect.Value) bool {
	switch {
	case from.Type() == to.Type():
		to.Set(from)
	case to.Kind() == reflect.Pointer && to.Type().Elem() == from.Type():
		to.Set(reflect.New(from.Type()))
		to.Elem().Set(from)
	case from.Kind() == reflect.Pointer && from.Type().Elem() == to.Type() && !from.IsNil():
		to.Set(from.Elem())
	default:
		return false
	}
	return true
}
