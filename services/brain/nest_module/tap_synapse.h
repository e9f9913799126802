/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Part of Reafference. Built against the headers of NEST and loaded into it, so under NEST's licence: the GNU
 * General Public License, version 2 or (at your option) any later version. It comes without any warranty.
 */
#pragma once

#include <cmath>
#include <vector>

#include "connection.h"
#include "connector_base_impl.h"
#include "connector_model_impl.h"

namespace reafference
{

/**
 * Synapse from a neuron to a recorder: a target and a delay.
 *
 * NEST keeps the synapses of one kind from one neuron to its devices in a vector of their own that begins with room
 * for 1024 of them, 32 KB. A tap's begins with room for one. It can lead to a device only.
 */
template < typename TargetIdentifierT >
class TapSynapse : public nest::Connection< TargetIdentifierT >
{
  using Base = nest::Connection< TargetIdentifierT >;

public:
  using CommonPropertiesType = nest::CommonSynapseProperties;

  static constexpr nest::ConnectionModelProperties properties =
    nest::ConnectionModelProperties::HAS_DELAY | nest::ConnectionModelProperties::IS_PRIMARY;

  void check_connection( nest::Node& source, nest::Node& target, size_t receptor, const CommonPropertiesType& )
  {
    if ( target.has_proxies() )
    {
      throw nest::IllegalConnection( "this synapse leads to a recorder only" );
    }
    Listener dummy;
    Base::check_connection_( dummy, source, target, receptor );
  }

  bool send( nest::Event& event, const size_t tid, const CommonPropertiesType& )
  {
    event.set_weight( 1.0 );
    event.set_delay_steps( Base::get_delay_steps() );
    event.set_receiver( *Base::get_target( tid ) );
    event.set_rport( Base::get_rport() );
    event();
    return true;
  }

  void get_status( Dictionary& d ) const
  {
    Base::get_status( d );
    d[ nest::names::weight ] = 1.0;  // NEST asks every synapse for one
    d[ nest::names::size_of ] = static_cast< long >( sizeof( *this ) );
  }

  //! A recorder has no use for a weight.
  void set_weight( double ) {}

private:
  //! Stands for a target that takes spikes, when the source is asked what it sends.
  struct Listener : public nest::ConnTestDummyNodeBase
  {
    using nest::ConnTestDummyNodeBase::handles_test_event;
    size_t handles_test_event( nest::SpikeEvent&, size_t ) override
    {
      return nest::invalid_port;
    }
  };
};

using Tap = TapSynapse< nest::TargetIdentifierPtrRport >;

}

//! One block, as long as it must be.
template <>
class BlockVector< reafference::Tap > : public std::vector< reafference::Tap >
{
};

//! NEST sorts the synapses between neurons only.
template <>
inline void
nest::Connector< reafference::Tap >::sort_connections( BlockVector< nest::Source >& )
{
  throw nest::KernelException( "synapses to a recorder are not sorted" );
}
