"""The message types that published functions can use: names and fields of the public ROS definitions.

For each the package and the type, then its fields in their order; an indented line goes on with the one before.
`T[]` is a list, `T[9]` a list of nine.
"""

TYPES = """
std_msgs/Empty:
std_msgs/Bool: data bool
std_msgs/Byte: data int8
std_msgs/Char: data uint8
std_msgs/ColorRGBA: r float32, g float32, b float32, a float32
std_msgs/Duration: data duration
std_msgs/Float32: data float32
std_msgs/Float64: data float64
std_msgs/Header: seq uint32, stamp time, frame_id string
std_msgs/Int8: data int8
std_msgs/Int16: data int16
std_msgs/Int32: data int32
std_msgs/Int64: data int64
std_msgs/MultiArrayDimension: label string, size uint32, stride uint32
std_msgs/MultiArrayLayout: dim std_msgs/MultiArrayDimension[], data_offset uint32
std_msgs/Float32MultiArray: layout std_msgs/MultiArrayLayout, data float32[]
std_msgs/Float64MultiArray: layout std_msgs/MultiArrayLayout, data float64[]
std_msgs/Int32MultiArray: layout std_msgs/MultiArrayLayout, data int32[]
std_msgs/Int64MultiArray: layout std_msgs/MultiArrayLayout, data int64[]
std_msgs/UInt8MultiArray: layout std_msgs/MultiArrayLayout, data uint8[]
std_msgs/String: data string
std_msgs/Time: data time
std_msgs/UInt8: data uint8
std_msgs/UInt16: data uint16
std_msgs/UInt32: data uint32
std_msgs/UInt64: data uint64

rosgraph_msgs/Clock: clock time
rosgraph_msgs/Log: header std_msgs/Header, level int8, name string, msg string, file string, function string, line
    uint32, topics string[]

geometry_msgs/Vector3: x float64, y float64, z float64
geometry_msgs/Vector3Stamped: header std_msgs/Header, vector geometry_msgs/Vector3
geometry_msgs/Point: x float64, y float64, z float64
geometry_msgs/Point32: x float32, y float32, z float32
geometry_msgs/PointStamped: header std_msgs/Header, point geometry_msgs/Point
geometry_msgs/Quaternion: x float64, y float64, z float64, w float64
geometry_msgs/QuaternionStamped: header std_msgs/Header, quaternion geometry_msgs/Quaternion
geometry_msgs/Pose: position geometry_msgs/Point, orientation geometry_msgs/Quaternion
geometry_msgs/Pose2D: x float64, y float64, theta float64
geometry_msgs/PoseArray: header std_msgs/Header, poses geometry_msgs/Pose[]
geometry_msgs/PoseStamped: header std_msgs/Header, pose geometry_msgs/Pose
geometry_msgs/PoseWithCovariance: pose geometry_msgs/Pose, covariance float64[36]
geometry_msgs/PoseWithCovarianceStamped: header std_msgs/Header, pose geometry_msgs/PoseWithCovariance
geometry_msgs/Polygon: points geometry_msgs/Point32[]
geometry_msgs/PolygonStamped: header std_msgs/Header, polygon geometry_msgs/Polygon
geometry_msgs/Transform: translation geometry_msgs/Vector3, rotation geometry_msgs/Quaternion
geometry_msgs/TransformStamped: header std_msgs/Header, child_frame_id string, transform geometry_msgs/Transform
geometry_msgs/Twist: linear geometry_msgs/Vector3, angular geometry_msgs/Vector3
geometry_msgs/TwistStamped: header std_msgs/Header, twist geometry_msgs/Twist
geometry_msgs/TwistWithCovariance: twist geometry_msgs/Twist, covariance float64[36]
geometry_msgs/Accel: linear geometry_msgs/Vector3, angular geometry_msgs/Vector3
geometry_msgs/AccelStamped: header std_msgs/Header, accel geometry_msgs/Accel
geometry_msgs/Wrench: force geometry_msgs/Vector3, torque geometry_msgs/Vector3
geometry_msgs/WrenchStamped: header std_msgs/Header, wrench geometry_msgs/Wrench
geometry_msgs/Inertia: m float64, com geometry_msgs/Vector3, ixx float64, ixy float64, ixz float64, iyy float64, iyz
    float64, izz float64

sensor_msgs/RegionOfInterest: x_offset uint32, y_offset uint32, height uint32, width uint32, do_rectify bool
sensor_msgs/CameraInfo: header std_msgs/Header, height uint32, width uint32, distortion_model string, D float64[], K
    float64[9], R float64[9], P float64[12], binning_x uint32, binning_y uint32, roi sensor_msgs/RegionOfInterest
sensor_msgs/ChannelFloat32: name string, values float32[]
sensor_msgs/CompressedImage: header std_msgs/Header, format string, data uint8[]
sensor_msgs/FluidPressure: header std_msgs/Header, fluid_pressure float64, variance float64
sensor_msgs/Illuminance: header std_msgs/Header, illuminance float64, variance float64
sensor_msgs/Image: header std_msgs/Header, height uint32, width uint32, encoding string, is_bigendian uint8, step
    uint32, data uint8[]
sensor_msgs/Imu: header std_msgs/Header, orientation geometry_msgs/Quaternion, orientation_covariance float64[9],
    angular_velocity geometry_msgs/Vector3, angular_velocity_covariance float64[9], linear_acceleration
    geometry_msgs/Vector3, linear_acceleration_covariance float64[9]
sensor_msgs/JointState: header std_msgs/Header, name string[], position float64[], velocity float64[], effort
    float64[]
sensor_msgs/Joy: header std_msgs/Header, axes float32[], buttons int32[]
sensor_msgs/LaserScan: header std_msgs/Header, angle_min float32, angle_max float32, angle_increment float32,
    time_increment float32, scan_time float32, range_min float32, range_max float32, ranges float32[], intensities
    float32[]
sensor_msgs/MagneticField: header std_msgs/Header, magnetic_field geometry_msgs/Vector3, magnetic_field_covariance
    float64[9]
sensor_msgs/NavSatStatus: status int8, service uint16
sensor_msgs/NavSatFix: header std_msgs/Header, status sensor_msgs/NavSatStatus, latitude float64, longitude float64,
    altitude float64, position_covariance float64[9], position_covariance_type uint8
sensor_msgs/PointCloud: header std_msgs/Header, points geometry_msgs/Point32[], channels sensor_msgs/ChannelFloat32[]
sensor_msgs/PointField: name string, offset uint32, datatype uint8, count uint32
sensor_msgs/PointCloud2: header std_msgs/Header, height uint32, width uint32, fields sensor_msgs/PointField[],
    is_bigendian bool, point_step uint32, row_step uint32, data uint8[], is_dense bool
sensor_msgs/Range: header std_msgs/Header, radiation_type uint8, field_of_view float32, min_range float32, max_range
    float32, range float32
sensor_msgs/Temperature: header std_msgs/Header, temperature float64, variance float64

nav_msgs/Odometry: header std_msgs/Header, child_frame_id string, pose geometry_msgs/PoseWithCovariance, twist
    geometry_msgs/TwistWithCovariance
nav_msgs/Path: header std_msgs/Header, poses geometry_msgs/PoseStamped[]
nav_msgs/MapMetaData: map_load_time time, resolution float32, width uint32, height uint32, origin geometry_msgs/Pose
nav_msgs/OccupancyGrid: header std_msgs/Header, info nav_msgs/MapMetaData, data int8[]

trajectory_msgs/JointTrajectoryPoint: positions float64[], velocities float64[], accelerations float64[], effort
    float64[], time_from_start duration
trajectory_msgs/JointTrajectory: header std_msgs/Header, joint_names string[], points
    trajectory_msgs/JointTrajectoryPoint[]

control_msgs/JointControllerState: header std_msgs/Header, set_point float64, process_value float64,
    process_value_dot float64, error float64, time_step float64, command float64, p float64, i float64, d float64,
    i_clamp float64, antiwindup bool

gazebo_msgs/ContactState: info string, collision1_name string, collision2_name string, wrenches
    geometry_msgs/Wrench[], total_wrench geometry_msgs/Wrench, contact_positions geometry_msgs/Vector3[],
    contact_normals geometry_msgs/Vector3[], depths float64[]
gazebo_msgs/ContactsState: header std_msgs/Header, states gazebo_msgs/ContactState[]
gazebo_msgs/LinkState: link_name string, pose geometry_msgs/Pose, twist geometry_msgs/Twist, reference_frame string
gazebo_msgs/LinkStates: name string[], pose geometry_msgs/Pose[], twist geometry_msgs/Twist[]
gazebo_msgs/ModelState: model_name string, pose geometry_msgs/Pose, twist geometry_msgs/Twist, reference_frame string
gazebo_msgs/ModelStates: name string[], pose geometry_msgs/Pose[], twist geometry_msgs/Twist[]
gazebo_msgs/WorldState: header std_msgs/Header, name string[], pose geometry_msgs/Pose[], twist geometry_msgs/Twist[],
    wrench geometry_msgs/Wrench[]

gazebo_ros_muscle_interface/MuscleState: name string, force float32, length float32, lengthening_speed float32,
    path_points geometry_msgs/Vector3[]
gazebo_ros_muscle_interface/MuscleStates: muscles gazebo_ros_muscle_interface/MuscleState[]

cle_ros_msgs/SpikeData: neuronIndex uint32, time float64
cle_ros_msgs/SpikeEvent: simulationTime float64, neuronCount uint32, spikes cle_ros_msgs/SpikeData[], monitorName
    string
cle_ros_msgs/SpikeRate: simulationTime float64, rate float64, monitorName string
cle_ros_msgs/CLEError: severity uint8, sourceType string, errorType string, message string, functionName string,
    lineNumber int32, offset int32, lineText string, fileName string
"""
