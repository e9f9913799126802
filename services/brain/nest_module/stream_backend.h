/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Part of Reafference. Built against the headers of NEST and loaded into it, so under NEST's licence: the GNU
 * General Public License, version 2 or (at your option) any later version. It comes without any warranty.
 */
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "dictionary.h"
#include "event.h"
#include "exceptions.h"
#include "kernel_manager.h"
#include "recording_backend.h"
#include "recording_device.h"

namespace reafference
{

/** A spike as it leaves: ordered by time, then by sender. */
struct Spike
{
  std::int64_t time_ns;
  std::int64_t sender;

  bool operator<( const Spike& other ) const
  {
    return time_ns != other.time_ns ? time_ns < other.time_ns : sender < other.sender;
  }
};

/**
 * Recording backend of spike recorders that keeps what was recorded only until it is taken.
 *
 * Every thread writes into a vector of its own; `take` is called between two runs, when no thread writes. So
 * spikes leave without Cleanup and Prepare, each exactly once, and no more are held than came since the last time.
 * The recorders enrolled here are one stream. Spikes survive Cleanup and Prepare; resetting the kernel or changing
 * its threads drops them.
 */
class StreamBackend : public nest::RecordingBackend
{
public:
  StreamBackend()
  {
    initialize();
    current_ = this;
  }

  ~StreamBackend() throw() override
  {
    if ( current_ == this )
    {
      current_ = nullptr;
    }
  }

  /** The backend that the kernel has now; null before the module is installed and after the kernel is reset. */
  static StreamBackend* current()
  {
    return current_;
  }

  std::size_t held() const
  {
    std::size_t n = 0;
    for ( const Lane& lane : lanes_ )
    {
      n += lane.records.size();
    }
    return n;
  }

  /** All spikes since the last call, ordered. A neuron with precise times fires `offset` ms before its time step ends. */
  void take( std::int64_t resolution_ns, std::vector< Spike >& taken )
  {
    taken.clear();
    taken.reserve( held() );
    for ( Lane& lane : lanes_ )
    {
      for ( const Record& r : lane.records )
      {
        const auto early_ns = static_cast< std::int64_t >( std::nearbyint( r.offset_ms * 1e6 ) );
        taken.push_back( { r.step * resolution_ns - early_ns, r.sender } );
      }
      lane.records.clear();
    }
    std::sort( taken.begin(), taken.end() );
  }

  void initialize() override
  {
    lanes_.assign( nest::kernel().vp_manager.get_num_threads(), Lane() );
  }

  void finalize() override
  {
    lanes_.clear();
  }

  void enroll( const nest::RecordingDevice& device, const Dictionary& ) override
  {
    if ( device.get_type() != nest::RecordingDevice::SPIKE_RECORDER )
    {
      throw nest::BadProperty( "this recording backend takes spikes, of a spike_recorder only" );
    }
  }

  void write( const nest::RecordingDevice& device,
    const nest::Event& event,
    const std::vector< double >&,
    const std::vector< long >& ) override
  {
    const std::int64_t sender = event.get_sender_node_id();
    lanes_[ device.get_thread() ].records.push_back( { event.get_stamp().get_steps(), event.get_offset(), sender } );
  }

  void disenroll( const nest::RecordingDevice& ) override {}
  void set_value_names( const nest::RecordingDevice&,
    const std::vector< std::string >&,
    const std::vector< std::string >& ) override
  {
  }
  void prepare() override {}
  void cleanup() override {}
  void pre_run_hook() override {}
  void post_run_hook() override {}
  void post_step_hook() override {}
  void set_status( const Dictionary& ) override {}
  void get_status( Dictionary& ) const override {}
  void check_device_status( const Dictionary& ) const override {}
  void get_device_defaults( Dictionary& ) const override {}
  void get_device_status( const nest::RecordingDevice&, Dictionary& ) const override {}

private:
  struct Record
  {
    std::int64_t step;
    double offset_ms;
    std::int64_t sender;
  };

  //! On cache lines of its own, since another thread writes the next one.
  struct alignas( 64 ) Lane
  {
    std::vector< Record > records;
  };

  std::vector< Lane > lanes_;  //!< one per thread
  inline static StreamBackend* current_ = nullptr;
};

}
